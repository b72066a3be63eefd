"""What ``import nco`` gives: files and arrays in, solutions out. See `nco` for the names."""
