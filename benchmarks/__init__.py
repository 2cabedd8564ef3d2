"""The demo and the benchmarks: one command each, every one with its baseline in the same run.

These are programs: importing the package quietens TensorFlow's remarks on the processor and on the
end of each sequence, which would stand between the lines of their tables.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
