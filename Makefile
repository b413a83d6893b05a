# Muster's commands. Nothing is needed but Python 3.11 or newer, make, and a way to the package registries.
#
#   make up                                              run the whole system on this machine, until Ctrl-C
#   make up ARGS="--port 8001 --data-dir .muster2"       the same with flags: see .venv/bin/muster up --help
#   make test                                            every check and every test
#   make check                                           lint, formats, types, import contracts, the checks of client and page
#   make unit                                            the tests that need nothing running
#   make format                                          put the code into its form
#   make page                                            build the page
#   make schema                                          write the schema that the migrations make anew
#   make types                                           write what the page knows of each resource anew
#   make lock                                            write the locks anew; ARGS=--upgrade takes newer releases
#   make clean                                           take away what was installed and built, but no data

SHELL := /bin/sh
ARGS ?=
PYTHON ?= $(firstword $(foreach name,python3 python3.14 python3.13 python3.12 python3.11 python,$(shell command -v $(name) 2>/dev/null)))
INSTALL = "$(or $(PYTHON),$(error Muster needs Python 3.11 or newer))" -m stack.install
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help up test check unit format page schema types lock clean packages

help:
	@sed -n '2,/^$$/s/^# \{0,1\}//p' Makefile

packages:
	@$(INSTALL) packages

page:
	@$(INSTALL) page

# exec: the signal that ends make must reach muster, and no shell between them
up: page
	@exec $(BIN)/muster up $(ARGS)

check: packages
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	@$(INSTALL) npm run check --workspaces

unit: packages
	$(BIN)/python -m pytest tests/unit $(ARGS)

test: page check
	$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

format: packages
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

schema: packages
	$(BIN)/python -m tests.support.schema

types: packages
	$(BIN)/python -m services.api.typescript

lock:
	@$(INSTALL) lock $(ARGS)

clean:
	rm -rf .venv .tools node_modules clients/js/node_modules clients/js/dist web/node_modules web/dist
