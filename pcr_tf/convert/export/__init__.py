"""From a data set back to TFRecords or files."""
