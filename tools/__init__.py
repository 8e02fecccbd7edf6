"""What developing this project needs and using it does not."""
