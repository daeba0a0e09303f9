# Everything that is made goes below BUILD; "make help" lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

BUILD ?= build
ifneq ($(words $(BUILD)),1)
$(error BUILD is "$(BUILD)"; make takes a space for the end of a name, so choose a folder without one)
endif
# QGIS's bindings belong to the system's Python, whatever other python3 comes first on PATH.
SYSTEM_PYTHON ?= /usr/bin/python3

BUILD_PATH := $(shell realpath -m "$(BUILD)")
HEADLAND_ENGINE ?= $(BUILD_PATH)/engine
export HEADLAND_ENGINE
# What QGIS keeps of estimates and the like, when it is started from here.
HEADLAND_CACHE ?= $(BUILD_PATH)/cache
export HEADLAND_CACHE

STAMPS := $(BUILD)/stamps
DEV := $(BUILD_PATH)/venv-dev
QGIS := $(BUILD_PATH)/venv-qgis
# The parameters of headland:enhanceextent that "make enhance" passes on.
PARAMETERS := INPUT EXTENT BANDS METHOD SCALE PRESET SENSOR MTF SEED DEVICE MODEL COG KEEP_DIP MAP_CONFIDENCE TRACE_BORDERS OUTPUT

# Tests and type checks import the plugin as the package headland, whatever this folder is called.
export PYTHONPATH := $(BUILD_PATH)/path
export MYPYPATH := $(BUILD_PATH)/path
# What QGIS loads and what the scripts import is this checkout, where nothing is to be left.
export PYTHONDONTWRITEBYTECODE := 1
# Threads that spin while they wait starve each other on a small machine.
export OMP_WAIT_POLICY := PASSIVE
export RUFF_CACHE_DIR := $(BUILD_PATH)/ruff-cache
export MYPY_CACHE_DIR := $(BUILD_PATH)/mypy-cache
TRAINED = $(or $(OUT),$(BUILD_PATH)/train)
# Tests that run make themselves are no part of this one's jobs.
APART := env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL
PYTEST := -m pytest -o cache_dir="$(BUILD_PATH)/pytest-cache"
export HYPOTHESIS_STORAGE_DIRECTORY := $(BUILD_PATH)/hypothesis
ENGINE_TESTS := tests/engine tests/models tests/benchmarks
QGIS_TESTS := tests/bridge tests/ui tests/processing tests/end_to_end
RULE_TESTS := tests/engine/test_import_rules.py tests/engine/test_qt_rules.py
TYPED_STRICTLY := -p headland.engine -p headland.models
TYPED := -p headland.bridge -p headland.processing -p headland.ui -m headland.plugin

quoted = '$(subst ','\'',$(1))'
given = $(if $(findstring command,$(origin $(1))),$(call quoted,$(1)=$($(1))))
# A variable of such a name may lie in the environment for another reason, so it does not count, but not in silence.
unheard := $(strip $(foreach name,$(PARAMETERS),$(if $(filter environment,$(origin $(name))),$(name))))

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo 'Variables of make enhance, to be written after it (those of the environment do not count):'
	@echo '  $(PARAMETERS)'
	@echo 'BUILD=folder keeps all that is made there (now: $(BUILD)).'

.PHONY: enhance
enhance: $(STAMPS)/engine ## enhance the shipped Sentinel-2 crop, or INPUT=file EXTENT="xmin,xmax,ymin,ymax [EPSG:n]"
	@$(if $(unheard),echo 'Not used while only in the environment: $(unheard). Write it after "make enhance".' >&2)
	@"$(SYSTEM_PYTHON)" scripts/enhance.py "$(BUILD_PATH)" $(foreach name,$(PARAMETERS),$(call given,$(name)))

.PHONY: setup
setup: $(STAMPS)/engine $(STAMPS)/dev $(STAMPS)/qgis ## set up QGIS, the engine environment and both test environments

.PHONY: test
test: test-engine test-qgis ## run all tests: the engine's in its Python, the rest in an offscreen QGIS

.PHONY: test-engine
test-engine: $(STAMPS)/engine $(STAMPS)/dev ## run the tests of the engine, the models and the benchmarks alone
	$(APART) "$(DEV)/bin/python" $(PYTEST) $(ENGINE_TESTS)

.PHONY: test-fast
test-fast: setup ## run the tests that are not marked slow
	"$(DEV)/bin/python" $(PYTEST) -m "not slow" $(ENGINE_TESTS)
	QT_QPA_PLATFORM=offscreen "$(QGIS)/bin/python" $(PYTEST) -m "not slow" $(QGIS_TESTS)

.PHONY: setup-qgis
setup-qgis: $(STAMPS)/engine $(STAMPS)/qgis ## set up what the tests of QGIS's side need, without the developer's tools

.PHONY: test-qgis
test-qgis: setup-qgis ## run the tests of QGIS's side alone, or some: QGIS_TESTS="tests/ui tests/bridge"
	$(APART) QT_QPA_PLATFORM=offscreen "$(QGIS)/bin/python" $(PYTEST) $(QGIS_TESTS)

.PHONY: test-matrix
test-matrix: ## run tests on other Debian releases, in chroots: RELEASES="trixie testing" FOLDERS="tests/bridge tests/ui" (root, debootstrap)
	@scripts/test_matrix.sh "$(BUILD_PATH)" "$(or $(RELEASES),trixie testing)" \
	    "$(or $(FOLDERS),tests/bridge tests/ui tests/processing)"

.PHONY: lint
lint: $(STAMPS)/dev ## check style, types, import rules and Qt rules
	"$(DEV)/bin/ruff" check .
	"$(DEV)/bin/ruff" format --check .
	"$(DEV)/bin/mypy" --strict $(TYPED_STRICTLY)
	"$(DEV)/bin/mypy" $(TYPED)
	"$(DEV)/bin/python" $(PYTEST) -q $(RULE_TESTS)

.PHONY: gate
gate: $(STAMPS)/dev ## ask the built zip what the plugin repository asks: its shape, Bandit, detect-secrets, flake8, qgis-plugin-analyzer
	@mkdir -p "$(BUILD_PATH)"
	"$(DEV)/bin/python" scripts/gate.py "$(BUILD_PATH)"

.PHONY: faults
faults: setup ## inject every fault into real runs, those that CI leaves out too: full disks, killed workers, damaged caches
	HEADLAND_FAULTS=all "$(DEV)/bin/python" $(PYTEST) tests/engine/test_worker_faults.py tests/engine/test_worker_faults_of_extras.py
	HEADLAND_FAULTS=all QT_QPA_PLATFORM=offscreen "$(QGIS)/bin/python" $(PYTEST) tests/end_to_end/test_faults.py tests/end_to_end/test_faults_of_extras.py

.PHONY: fuzz
fuzz: setup ## fuzz all that is read: INPUTS=10000 of each kind, other ones each time
	HEADLAND_FUZZ=$(or $(INPUTS),10000) "$(DEV)/bin/python" $(PYTEST) tests/engine/test_fuzzing.py
	HEADLAND_FUZZ=$(or $(INPUTS),10000) QT_QPA_PLATFORM=offscreen "$(QGIS)/bin/python" $(PYTEST) tests/bridge/test_fuzzing.py tests/bridge/test_fuzzing_results.py

# Numbers of runs, one for each kind; what a kind found is kept below BUILD and tried first the next time.
.PHONY: fuzz-coverage
fuzz-coverage: setup ## fuzz by coverage what needs no QGIS: RUNS=1000000 of each kind, KINDS="events onnx …" (Linux, Python 3.11 or later)
	"$(SYSTEM_PYTHON)" -m venv --clear "$(BUILD_PATH)/venv-fuzz"
	"$(BUILD_PATH)/venv-fuzz/bin/python" -m pip --disable-pip-version-check --quiet install --requirement scripts/requirements-fuzz.txt
	"$(BUILD_PATH)/venv-fuzz/bin/python" scripts/fuzz_by_coverage.py "$(BUILD_PATH)/fuzz" $(or $(RUNS),1000000) $(KINDS)

.PHONY: format
format: $(STAMPS)/dev ## bring the code into form
	"$(DEV)/bin/ruff" check --fix-only .
	"$(DEV)/bin/ruff" format .

# What another computer needs: LOCK=linux-cpu|linux-cuda|windows-cpu|windows-cuda|macos PYTHON=3.12
.PHONY: wheelhouse
wheelhouse: ## download the engine's wheels for computers without a network: OUT=folder LOCK=windows-cpu PYTHON=3.12
	"$(SYSTEM_PYTHON)" engine/environment.py wheelhouse "$(or $(OUT),$(BUILD_PATH)/wheelhouse)" \
	    $(if $(LOCK),--lock "$(LOCK)") $(if $(PYTHON),--python-version "$(PYTHON)")

.PHONY: locks
locks: $(STAMPS)/dev ## resolve the engine's packages anew for every kind of computer, into engine/locks/ (needs the package index)
	"$(SYSTEM_PYTHON)" -m venv --clear "$(BUILD_PATH)/venv-uv"
	"$(BUILD_PATH)/venv-uv/bin/python" -m pip --disable-pip-version-check --quiet install --requirement scripts/requirements-locks.txt
	"$(DEV)/bin/python" scripts/lock_engine.py "$(BUILD_PATH)/venv-uv/bin/uv"

.PHONY: package
package: ## make the plugin's zip, the same bytes every time
	@"$(SYSTEM_PYTHON)" scripts/package.py "$(BUILD_PATH)/headland.zip"

.PHONY: translations
translations: ## write down every text that people see, for translators: OUT=file.ts
	@"$(SYSTEM_PYTHON)" scripts/translations.py . "$(or $(OUT),$(BUILD_PATH)/headland.ts)"

.PHONY: screenshots
screenshots: $(STAMPS)/engine ## take pictures of the dock in a real QGIS window (needs Xvfb), into BUILD/screenshots
	@"$(SYSTEM_PYTHON)" scripts/screenshots.py "$(BUILD_PATH)"

.PHONY: bench-sensors
bench-sensors: setup ## compare the methods on several sensors: DATA=folder with highres/ and scenes/ OUT=file.json SCALE=2|4
	"$(DEV)/bin/python" scripts/bench_sensors.py "$(DATA)" "$(or $(OUT),$(BUILD_PATH)/bench-sensors.json)" $(or $(SCALE),4)

.PHONY: bench-stopping
bench-stopping: setup ## does Deep Image Prior stop at the right time: DATA=folder with highres/ OUT=file.json SCALE=2|4
	"$(DEV)/bin/python" scripts/bench_stopping.py "$(DATA)" "$(or $(OUT),$(BUILD_PATH)/bench-stopping.json)" $(or $(SCALE),4)

.PHONY: bench-safety-net
bench-safety-net: setup ## is the anchor taken where, and only where, it is better: DATA=folder with highres/ OUT=file.json SCALE=2|4 CITIES=1
	"$(DEV)/bin/python" scripts/bench_safety_net.py "$(DATA)" "$(or $(OUT),$(BUILD_PATH)/bench-safety-net.json)" $(or $(SCALE),4) \
	    $(if $(CITIES),--cities)

.PHONY: bench-dip
bench-dip: setup ## Deep Image Prior by its author's protocol: IMAGES=folder OUT=file.json SCALE=2|4|8 METHODS="fast …" REFERENCE_ITERATIONS=3
	"$(DEV)/bin/python" scripts/bench_dip.py "$(IMAGES)" "$(or $(OUT),$(BUILD_PATH)/bench-dip.json)" --scale $(or $(SCALE),4) \
	    $(if $(METHODS),--methods $(METHODS)) $(if $(REFERENCE_ITERATIONS),--reference-iterations $(REFERENCE_ITERATIONS)) \
	    $(if $(DEVICE),--device "$(DEVICE)")

.PHONY: compare-devices
compare-devices: setup ## the engine on a GPU against the processor, pixels and seconds: DEVICE=cuda SIZE_PX=512 OUT=file.json
	"$(DEV)/bin/python" scripts/compare_devices.py "$(or $(OUT),$(BUILD_PATH)/devices.json)" --device $(or $(DEVICE),cuda) \
	    --size-px $(or $(SIZE_PX),512)

.PHONY: bench-quality
bench-quality: setup ## hold the chain against each stage alone: DATA=folder with highres/ and weights/ OUT=file.json SCALE=2|4 MODEL=file.onnx
	"$(DEV)/bin/python" scripts/bench_quality.py "$(DATA)" "$(or $(OUT),$(BUILD_PATH)/bench-quality.json)" \
	    --scale $(or $(SCALE),4) $(if $(MODEL),--model "$(MODEL)")

.PHONY: bench-borders
bench-borders: setup ## precision and recall of traced borders, by method: DATA=folder with highres/ OUT=file.json SCALE=2|4 FIT=1 (weights instead)
	"$(DEV)/bin/python" scripts/bench_borders.py "$(DATA)" "$(or $(OUT),$(BUILD_PATH)/bench-borders.json)" \
	    --scale $(or $(SCALE),4) $(if $(FIT),--fit)

.PHONY: measure-costs
measure-costs: setup ## measure time and memory of the worker, for the constants of engine/estimate.py: OUT=file.json
	"$(DEV)/bin/python" scripts/measure_costs.py "$(HEADLAND_ENGINE)/bin/python" "$(or $(OUT),$(BUILD_PATH)/costs.json)"

.PHONY: bench-scaling
bench-scaling: setup ## how time and memory grow with the extent: CASES="anchor-1024px-3b-x4 …" OUT=file.json
	QT_QPA_PLATFORM=offscreen "$(QGIS)/bin/python" scripts/bench_scaling.py "$(or $(OUT),$(BUILD_PATH)/bench-scaling.json)" $(CASES)

.PHONY: measure-cache
measure-cache: setup ## measure what the cache of finished tiles costs a run, and what it saves the next one
	"$(DEV)/bin/python" scripts/measure_cache.py "$(HEADLAND_ENGINE)/bin/python"

.PHONY: train-prior
train-prior: setup ## train the start of Deep Image Prior: DATA=folder of image folders OUT=file.npz MINUTES=30
	"$(DEV)/bin/python" -m headland.models.training.train_prior "$(DATA)" "$(OUT)" --minutes $(or $(MINUTES),30) \
	    $(if $(DEVICE),--device "$(DEVICE)")

.PHONY: train
train: setup ## train Decrappify: DATA=folder with highres/ and weights/ OUT=folder MINUTES=60 RECIPE=file.json FROM=file.onnx (docs/training.md)
	"$(DEV)/bin/python" -m headland.models.training.train_decrappify "$(DATA)" "$(TRAINED)" --minutes $(or $(MINUTES),60) \
	    $(if $(RECIPE),--recipe "$(RECIPE)") $(if $(FROM),--start-from "$(FROM)") $(if $(DEVICE),--device "$(DEVICE)")

.PHONY: export
export: setup ## make an ONNX file and its card of what "make train" left: DATA=folder OUT=folder MODEL=file.onnx MIX=checkpoint.pt SHARE=0.25
	"$(DEV)/bin/python" -m headland.models.training.export_decrappify "$(TRAINED)/checkpoint.pt" "$(DATA)" \
	    --model-file "$(or $(MODEL),$(TRAINED)/decrappify.onnx)" \
	    $(if $(MIX),--mix "$(MIX)") $(if $(SHARE),--mix-share "$(SHARE)")

.PHONY: calibrate-confidence
calibrate-confidence: setup ## fit and calibrate the network that predicts errors: DATA=folder with highres/ OUT=file.npz STEPS=2400
	"$(DEV)/bin/python" -m headland.models.training.calibrate_confidence "$(DATA)" \
	    "$(or $(OUT),$(BUILD_PATH)/confidence.npz)" --steps $(or $(STEPS),2400)

.PHONY: bench-confidence
bench-confidence: setup ## do the error bounds hold, and do they rank errors: DATA=folder with highres/ and scenes/ SCALE=2|4 PART=validation OUT=file.json NETWORK=file.npz
	"$(DEV)/bin/python" scripts/bench_confidence.py "$(DATA)" "$(or $(OUT),$(BUILD_PATH)/bench-confidence.json)" \
	    --scale $(or $(SCALE),4) --part $(or $(PART),report) $(if $(NETWORK),--parameters "$(NETWORK)")

.PHONY: bench-radiometry
bench-radiometry: setup ## NDVI and band ratios of results against the source's, and what single pixels are worth: DATA=folder with scenes/ OUT=file.json
	"$(DEV)/bin/python" scripts/bench_radiometry.py "$(or $(OUT),$(BUILD_PATH)/bench-radiometry.json)" \
	    $(if $(DATA),--data "$(DATA)")

.PHONY: clean
clean: ## remove all that was made
	rm -rf "$(BUILD_PATH)"

# Each stamp is newer than what it was made from, so a second run takes no time.

$(STAMPS)/system: scripts/install_system.sh
	@mkdir -p "$(STAMPS)"
	scripts/install_system.sh "$(SYSTEM_PYTHON)"
	@touch $@

# HEADLAND_ENGINE may name another folder than last time.
$(STAMPS)/engine: engine/requirements.txt $(wildcard engine/locks/*.txt) $(shell test -e "$(HEADLAND_ENGINE)/ready.json" || echo FORCE) | $(STAMPS)/system
	"$(SYSTEM_PYTHON)" engine/environment.py build --python "$(SYSTEM_PYTHON)"
	@touch $@

.PHONY: FORCE
FORCE:

$(STAMPS)/path:
	@mkdir -p "$(STAMPS)" "$(BUILD_PATH)/path"
	ln -sfn "$(CURDIR)" "$(BUILD_PATH)/path/headland"
	@touch $@

$(STAMPS)/dev: scripts/requirements-dev.txt engine/requirements.txt $(STAMPS)/path | $(STAMPS)/engine
	scripts/make_test_environments.sh dev "$(SYSTEM_PYTHON)" "$(DEV)"
	@touch $@

$(STAMPS)/qgis: scripts/requirements-qgis.txt $(STAMPS)/path | $(STAMPS)/system
	scripts/make_test_environments.sh qgis "$(SYSTEM_PYTHON)" "$(QGIS)"
	@touch $@
