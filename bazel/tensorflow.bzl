"""The TensorFlow that a Python interpreter imports, as the repository @tensorflow."""

_QUERY = """
import tensorflow as tf
print(tf.__version__)
print(tf.sysconfig.get_include())
print(tf.sysconfig.get_lib())
"""

_BUILD = """
package(default_visibility = ["//visibility:public"])

cc_library(
    name = "headers",
    hdrs = glob(["include/**"]),
    # As system headers: their warnings are not ours.
    includes = ["include"],
    defines = ["_GLIBCXX_USE_CXX11_ABI=1"],
)

cc_import(
    name = "framework",
    shared_library = "libtensorflow_framework.so.2",
)
"""

def _installed_tensorflow_impl(repository_ctx):
    python = repository_ctx.os.environ.get("PCR_PYTHON", "") or "python3"
    result = repository_ctx.execute([python, "-c", _QUERY], quiet = True)
    if result.return_code != 0:
        fail(("No TensorFlow was found by {}; install tensorflow-cpu there, or name another " +
              "interpreter: --repo_env=PCR_PYTHON=<python>\n{}").format(python, result.stderr))
    version, include, library = result.stdout.strip().split("\n")[-3:]
    repository_ctx.symlink(include, "include")
    repository_ctx.symlink(library + "/libtensorflow_framework.so.2", "libtensorflow_framework.so.2")
    repository_ctx.file("BUILD", _BUILD)
    repository_ctx.file("version", version + "\n")

installed_tensorflow = repository_rule(
    implementation = _installed_tensorflow_impl,
    environ = ["PCR_PYTHON"],
    local = True,
)
