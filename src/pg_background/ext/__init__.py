"""What stands between pg_background and other libraries: a module for each, which nothing else imports."""
