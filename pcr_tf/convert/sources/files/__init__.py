"""Sources of files that hold images or examples: class folders, TFRecords, TFDS."""
