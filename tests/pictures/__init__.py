"""Pictures of the documentation: tests of what screens show, which `make pictures` keeps."""
