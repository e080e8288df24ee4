# make test      all tests, on every implementation that this machine can run
# make demo      train on handwritten digits, once for each activation
# make bench     speed beside PyTorch, TensorFlow, JAX, ONNX Runtime, numexpr, SciPy and NumPy
# make accuracy  errors in units in the last place, beside PyTorch, JAX and SciPy
# make bits      the same bits on every instruction set; with gcc-aarch64-linux-gnu and qemu-user on NEON too
#
# Each makes its own environment in .venv and installs what it needs there.

PYTHON ?= python3
VENV := .venv
RUN := $(abspath $(VENV))/bin/python
SOURCES := $(wildcard setup.py pyproject.toml README.md src/* pyactx/* pyactx/include/*)

.PHONY: test demo bench accuracy bits clean

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --upgrade pip

# One stamp for each set of extra packages: $(VENV)/test,dev.installed is for pyactx[test,dev].
$(VENV)/%.installed: $(VENV)/bin/python $(SOURCES)
	$(RUN) -m pip install --quiet ".[$*]"
	touch $@

# From another folder, so that the installed package is tested and not the source tree.
test: $(VENV)/test,dev.installed
	cd tests && $(RUN) -m pytest --numprocesses=auto --dist=worksteal

demo: $(VENV)/demo.installed
	$(RUN) examples/digits.py

bench: $(VENV)/bench.installed
	$(RUN) benchmarks/compare.py --json results/bench.json --plot results/bench.svg

bits: $(VENV)/test,dev.installed
	$(RUN) tools/bits.py

accuracy: $(VENV)/accuracy,peers.installed
	$(RUN) benchmarks/accuracy.py --markdown

clean:
	rm -rf $(VENV) build dist wheelhouse results *.egg-info
