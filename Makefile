# make run · make test · make check · make screenshots.
# The virtual environment is made on first use and renewed when the pins change.
PYTHON ?= python3
WORKERS ?= 2
VENV := .venv
BIN := $(VENV)/bin
RUN_READY := $(VENV)/.ready-run
DEV_READY := $(VENV)/.ready-dev

# Pictures that the README shows; the others are only looked at.
SHOWN := $(foreach page,start compare explore,$(foreach scheme,light dark,screenshots/$(page)-desk-$(scheme).png))

# Reading all test files takes longer than these few.
TIMED := $(shell grep -rl --include='test_*.py' 'mark.timed' tests)

.PHONY: setup run test check screenshots
.DELETE_ON_ERROR:

setup: $(DEV_READY)

run: $(RUN_READY)
	$(BIN)/streamlit run app.py

# In processes of one thread each; one more than there are cores, since tests in a browser mostly wait. What limits a time
# runs alone afterwards. Compiled files are kept even where an environment forbids it: hundreds of processes start.
test: export PYTHONDONTWRITEBYTECODE =
test: $(DEV_READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not timed" --numprocesses $$(( $(WORKERS) + 1 )) --dist worksteal; \
	rest=$$?; $(BIN)/python -m pytest -m timed $(TIMED) && exit $$rest

check: $(DEV_READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	git ls-files -z '*.py' '*.js' '*.md' '*.toml' '*.txt' '*.cff' Makefile .ci .streamlit | xargs -0 $(BIN)/detect-secrets-hook \
	    --disable-plugin HexHighEntropyString --disable-plugin Base64HighEntropyString
	$(BIN)/pip-audit --local --skip-editable --progress-spinner off
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow and not browser and not timed" --numprocesses $(WORKERS) --dist worksteal
	$(BIN)/python -m pytest -m "timed and not slow and not browser" $(TIMED)

screenshots: $(DEV_READY)
	$(BIN)/python -m benchmarks.screenshots --out screenshots
	mkdir -p docs/screenshots
	cp $(SHOWN) docs/screenshots/

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(RUN_READY): requirements.txt | $(BIN)/python
	$(BIN)/python -m pip install -r requirements.txt
	touch $@

# The development pins include those of the app, so both stamps are fresh afterwards.
$(DEV_READY): requirements.txt requirements-dev.txt | $(BIN)/python
	$(BIN)/python -m pip install -r requirements-dev.txt
	touch $(RUN_READY) $@
