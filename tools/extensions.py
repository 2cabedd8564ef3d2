"""How the two native parts of the Python package are compiled."""

from __future__ import annotations

import sysconfig

from tools import native
from tools.tensorflow_config import TensorFlowConfig


def module_group() -> native.SourceGroup:
    """The sources of pcr_tf._native beyond the core, for the running interpreter."""
    import pybind11

    flags = (
        *native.RELEASE_FLAGS,
        f"-isystem{sysconfig.get_path('include')}",
        f"-isystem{pybind11.get_include()}",
    )
    variant = f"python-{sysconfig.get_config_var('SOABI')}"
    return native.SourceGroup(variant, native.layer_sources("bindings"), flags)


def op_library_group(tensorflow: TensorFlowConfig) -> native.SourceGroup:
    """The sources of the op library beyond the core."""
    # Its headers are system headers: their warnings are not ours.
    tf_flags = (flag.replace("-I", "-isystem", 1) for flag in tensorflow.compile_flags)
    sources = native.layer_sources("kernels", "op_defs")
    return native.SourceGroup(tensorflow.variant, sources, (*native.RELEASE_FLAGS, *tf_flags))
