# make demo   install, then the whole story on the CPU
# make test   install, then all tests, those of packages that stand apart in a second environment
# make docs   install, then the documentation as a site in build/site
# make check  install, then ruff, mypy, import-linter and the tests, but for slow ones that guard no promise
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
# Where the environment forbids it, every child process of a test compiles a hundred modules anew: 0.1 to 0.2 s each.
export PYTHONDONTWRITEBYTECODE :=
# Side by side, long tests first; tests/conftest.py says in how many processes. PYTEST_ARGS="-n 0" uses one.
# A worker that dies ends the run: with a new one in its place pytest-xdist waits for ever.
PYTEST := $(BIN)/pytest -q -n auto --dist loadgroup --max-worker-restart 0

.PHONY: demo test apart check lint docs install lock clean

demo: install
	$(BIN)/liftgate demo

test: install
	$(PYTEST) $(PYTEST_ARGS)
	$(MAKE) apart

# What `test` skips for want of a package that cannot stand beside the others, in an environment of its own.
APART := tests/engines/test_store.py tests/deploy/registry/test_mirror.py tests/deploy/registry/test_signing.py \
	tests/deploy/runtime/test_sessions.py tests/evaluation/test_display.py tests/training/test_tracking.py

apart: install requirements/apart.txt
	$(PYTHON) -m venv .venv-apart
	$(BIN)/uv pip install --quiet --python .venv-apart/bin/python --require-hashes -r requirements/apart.txt
	$(BIN)/uv pip install --quiet --python .venv-apart/bin/python --no-deps --no-build-isolation --editable .
	.venv-apart/bin/pytest -q $(APART)

check: lint
	$(PYTEST) -m "not slow or promise" $(PYTEST_ARGS)

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The documentation as a site in build/site: offline, in an environment of its own, every link checked.
docs: install requirements/docs.txt
	$(PYTHON) -m venv .venv-docs
	$(BIN)/uv pip install --quiet --python .venv-docs/bin/python --require-hashes -r requirements/docs.txt
	$(BIN)/python docs/make_site.py build
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict --quiet -f build/mkdocs.yml

install: $(INSTALLED)

# uv comes from its own hash-locked file: pip resolves and downloads several GB one by one, uv side by side.
$(INSTALLED): requirements/uv.txt requirements/all.txt pyproject.toml
	sh requirements/debian.sh
	$(PYTHON) -c 'import sys; sys.exit("error: Python 3.11 or newer is needed, this is %s" % sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/all.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $@

# After a change of pyproject.toml's dependencies. No index address gets into the files.
lock:
	$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --universal \
		--extra train --extra export --extra demo --extra frames --extra cvat --extra serve --extra board --extra log --extra slurm --extra libreyolo --extra ray --group dev pyproject.toml -o requirements/all.txt
	$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --universal \
		pyproject.toml -o requirements/base.txt
	echo "mkdocs-material>=9.5" | $(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --universal - -o requirements/docs.txt
	$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --universal \
		--extra serve pyproject.toml -o requirements/serve.txt
	$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --universal \
		--extra mlflow --extra serve --extra sign --extra store --group apart pyproject.toml -o requirements/apart.txt
	echo "uv" | $(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --universal - -o requirements/uv.txt

clean:
	rm -rf .venv .venv-apart .venv-docs build .mypy_cache .ruff_cache .pytest_cache .hypothesis
