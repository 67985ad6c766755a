# pop-connectivity. `make` alone lists what there is; CONTRIBUTING.md tells when to use which.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/sh
BIN := node_modules/.bin
SOURCES := $(shell find src plugins tools -type f) docs/reasons.md package-lock.json
COMMANDS := dist/check_pop3 dist/Test-PopConnectivity dist/pop3_sandbox dist/zabbix_pop3 dist/scom_pop3 dist/checkmk_pop3 dist/prtg_pop3 \
	dist/telegraf_pop3
MODULES := dist/pop3.k6.js dist/pop3.k6.d.ts dist/pop3.xk6.js dist/pop3.xk6.d.ts
PAGES := dist/check_pop3.1 dist/Test-PopConnectivity.1 dist/zabbix_pop3.1 dist/scom_pop3.1 dist/checkmk_pop3.1 \
	dist/prtg_pop3.1 dist/telegraf_pop3.1

help: ## list what there is
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 18

install: node_modules/.installed ## install what the build and the tests need (npm)

node_modules/.installed: package.json package-lock.json
	npm ci --no-audit --no-fund --loglevel=error
	@touch $@

build: $(COMMANDS) $(MODULES) $(PAGES) ## build the commands, their man pages and the modules for k6 into dist/

# One run builds them all.
$(COMMANDS) $(MODULES) $(PAGES) &: node_modules/.installed $(SOURCES)
	node tools/build.mjs

demo: build ## see a real logon test against the embedded sandbox server
	@node tools/demo.mjs

check: build lint types dead-code ## format, lint, types, dead code, unit and dist tests
	$(BIN)/vitest run --project unit --project dist

lint: node_modules/.installed ## format, lint and import rules
	$(BIN)/biome ci --error-on-warnings

types: node_modules/.installed build ## types: everything, then the inner ring and k6's modules without Node
	$(BIN)/tsc -p tsconfig.json
	$(BIN)/tsc -p tsconfig.core.json
	$(BIN)/tsc -p plugins/k6/tsconfig.json

dead-code: node_modules/.installed ## code and dependencies nobody uses
	$(BIN)/knip

test: build lint types dead-code ## check, and the real servers and platforms installed here
	node tools/test.mjs

bench: build ## measure the commands beside other tools, as ratios
	node test/bench/bench.mjs

format: node_modules/.installed ## rewrite files in the project's format
	$(BIN)/biome check --write

nodes: node_modules/.installed ## fetch the versions of Node.js the commands are to run on (npm, 800 MB)
	node tools/nodes.mjs

servers: ## unpack the real servers that cannot stand beside Dovecot and Postfix (Debian; root for their libraries)
	bash tools/servers.sh
	bash tools/zabbix-7.sh

clean: ## remove what was built
	rm -rf .cache coverage $(COMMANDS) $(MODULES) $(PAGES)

.PHONY: help install build demo check lint types dead-code test bench format nodes servers clean
