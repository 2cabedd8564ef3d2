"""Sources whose labels are in a table: CSV, lists, MATLAB files."""
