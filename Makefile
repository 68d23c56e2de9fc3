# Everything a person needs: `make demo` and `make test`. Both set up .venv first.
PY ?= python3
VENV ?= .venv
EXTRAS ?= all,dev
BIN := $(VENV)/bin

.PHONY: setup demo test quick contract check lock clean

$(VENV)/.stamp: pyproject.toml constraints.txt
	$(PY) -m venv $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt uv
	@if [ -n "$$PIP_FIND_LINKS" ]; then export UV_FIND_LINKS="$$PIP_FIND_LINKS"; \
	else export UV_TORCH_BACKEND="$${UV_TORCH_BACKEND:-cpu}"; fi; \
	$(BIN)/uv pip install -q --python $(BIN)/python -c constraints.txt -e '.[$(EXTRAS)]'
	@$(BIN)/python -c "import torch; assert torch.__version__.startswith('2.13.'), torch.__version__"
	touch $@

setup: $(VENV)/.stamp

demo: setup
	$(BIN)/sprat fit digits --max-size 20KB --out runs/demo

test: check
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder

quick: setup
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder -m "not slow"

# Every preset of the zoo, with weights; the suite takes the cheapest of each variant.
contract: setup
	SPRAT_EVERY=1 $(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder tests/contract

check: setup
	scripts/check $(BIN)

lock: setup
	$(BIN)/uv pip freeze --python $(BIN)/python --exclude-editable | sed 's/+cpu$$//' > constraints.txt

clean:
	rm -rf $(VENV) build dist
