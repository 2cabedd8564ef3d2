# make help      lists the targets.
#
# TF=2.21.0      another TensorFlow, in a virtual environment of its own
# PYTHON=...     the interpreter that the virtual environment is made with
# JOBS=4         parallel compilers and test processes; by default one per core

TF ?= 2.17.1
PYTHON ?= python3
VENV ?= .venv-tf$(TF)
JOBS ?= $(shell nproc)
PYTEST_FLAGS ?= -n $(JOBS) --dist loadfile

PY := $(VENV)/bin/python
export TF_CPP_MIN_LOG_LEVEL ?= 2

# tensorflow-io's last release loads into TensorFlow 2.16 and 2.17 only; Apache Beam wants an older
# protobuf than newer ones bring. They bring one that newer tensorflow-metadata, of TensorFlow
# Datasets, does not load with.
UP_TO_2_17 := tensorflow-io==0.37.1 apache-beam==2.77.0 tensorflow-metadata==1.16.1
# Keras's other backend, for the tests: the last JAX that takes 2.17's ml-dtypes; none takes 2.16's.
TENSORFLOW := tensorflow-cpu==$(TF) $(if $(filter 2.16.% 2.17.%,$(TF)),$(UP_TO_2_17)) \
  $(if $(filter 2.16.%,$(TF)),,jax==0.5.3)

PYTHON_SOURCES := pcr_tf benchmarks tests tools conftest.py setup.py
CPP_SOURCES = $(wildcard ops/*/*.h ops/*/*.cc ops/*/*/*.h ops/*/*/*.cc tests/cpp/*.h tests/cpp/*.cc benchmarks/*.cc)

.DELETE_ON_ERROR:
.PHONY: help deps system-deps build demo test test-cpp test-python sanitize tsan lint format \
  compile_commands.json bazel clean

help:
	@echo 'make deps        system packages (apt) and the virtual environment $(VENV)'
	@echo 'make build       the native module and the ops, in place, for TensorFlow $(TF)'
	@echo 'make demo        draw a data set, convert it, measure it, train on it; IMAGES=/my/folder takes yours'
	@echo 'make test        all tests; test-cpp and test-python are its parts'
	@echo 'make sanitize    the C++ tests under AddressSanitizer and UndefinedBehaviorSanitizer'
	@echo 'make tsan        the C++ tests that start threads under ThreadSanitizer'
	@echo 'make lint        ruff, mypy, clang-format, clang-tidy'
	@echo 'make format      rewrite the sources as the formatters want them'
	@echo 'make compile_commands.json  how each C++ source is compiled, for clangd'
	@echo 'make bazel       the op library and the C++ tests with Bazel; BAZEL_FLAGS= passes through'
	@echo 'make clean       remove what was built; virtual environments stay'
	@echo 'Variables: TF=$(TF) PYTHON=$(PYTHON) JOBS=$(JOBS) PYTEST_FLAGS="$(PYTEST_FLAGS)"'

# What is installed

system-deps:
	@tools/system_packages.sh

$(VENV)/.ready: requirements-dev.txt | system-deps
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --upgrade pip
	$(PY) -m pip install --quiet --requirement requirements-dev.txt $(TENSORFLOW)
	@touch $@

deps: $(VENV)/.ready

# What is built. Which files are stale is known to setup.py; it is asked every time.

# An editable install, for the commands and the metadata; its first build is part of it.
$(VENV)/.installed: $(VENV)/.ready pyproject.toml setup.py pcr_tf/version.py
	$(PY) -m pip install --quiet --no-build-isolation --no-deps --editable .
	@touch $@

build: $(VENV)/.installed
	@$(PY) setup.py --quiet build_ext --inplace --parallel $(JOBS)

# What is run

demo: build
	$(PY) -m benchmarks.demo --output_dir=build/demo $(if $(IMAGES),--images='$(IMAGES)')

test: test-cpp test-python

test-cpp: | system-deps
	$(PYTHON) tools/cpp_tests.py --jobs $(JOBS)

test-python: build
	$(PY) -m pytest $(PYTEST_FLAGS)

sanitize: | system-deps
	$(PYTHON) tools/cpp_tests.py --jobs $(JOBS) --variant=sanitize

tsan: | system-deps
	$(PYTHON) tools/cpp_tests.py --jobs $(JOBS) --variant=tsan

lint: build
	$(VENV)/bin/ruff check $(wildcard $(PYTHON_SOURCES))
	$(VENV)/bin/ruff format --check $(wildcard $(PYTHON_SOURCES))
	$(VENV)/bin/mypy $(wildcard $(PYTHON_SOURCES))
	$(VENV)/bin/clang-format --dry-run -Werror $(CPP_SOURCES)
	$(PY) tools/clang_tidy.py --jobs $(JOBS)

format: $(VENV)/.ready
	$(VENV)/bin/ruff check --fix-only $(wildcard $(PYTHON_SOURCES))
	$(VENV)/bin/ruff format $(wildcard $(PYTHON_SOURCES))
	$(VENV)/bin/clang-format -i $(CPP_SOURCES)

compile_commands.json: $(VENV)/.ready
	$(PY) tools/compile_commands.py

bazel: $(VENV)/.ready
	bazel build //ops:_pcr_ops.so --repo_env=PCR_PYTHON=$(abspath $(PY)) $(BAZEL_FLAGS)
	bazel test //tests/cpp/... --repo_env=PCR_PYTHON=$(abspath $(PY)) $(BAZEL_FLAGS)

clean:
	rm -rf build dist *.egg-info compile_commands.json
	rm -f pcr_tf/*.so pcr_tf/data/*.so pcr_tf/data/_build_info.json
	rm -f .venv*/.installed
