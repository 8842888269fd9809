# Every target does its own set-up: system packages, virtual environment, build.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help demo test test-long run lint check plugin plugin-install test-plugin rtsan asan tsan fuzz fuzz-programs chaos \
	soak test-arm bench bench-arm format clean

PYTHON ?= python3
# Its own line, because a bare `torch` may pull a CUDA build of several GB. On a machine without a
# GPU name a CPU file or index: make test TORCH="torch==2.13.0 --index-url URL"
TORCH ?= torch==2.13.0
DI ?=
ARGS ?=

# The one list of system packages. libjack itself is opened at run time, whoever provides it.
APT_PACKAGES := g++ cmake ninja-build python3-venv python3-dev nlohmann-json3-dev doctest-dev \
	ccache libjack-jackd2-dev jackd2 liblo-tools
BROWSER_PACKAGES := chromium chromium-driver fonts-dejavu-core
RTSAN_PACKAGES := clang-22 libclang-rt-22-dev llvm-22
ARM_PACKAGES := g++-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user

# JUCE 7 and what it wants; other systems fetch it (plugin/README.md).
PLUGIN_PACKAGES := g++ cmake ninja-build pkg-config nlohmann-json3-dev libyaml-dev \
	juce-modules-source
PLUGIN_TEST_PACKAGES := doctest-dev xvfb xauth openbox imagemagick xsettingsd \
	fonts-dejavu-core zenity lilv-utils sordi lv2-dev ardour jackd2
PLUGIN := build/plugin/ampd_plugin_artefacts/Release
PLUGIN_SOURCES := plugin/CMakeLists.txt $(shell find plugin/source ampd/engine -name '*.?pp' -o -name CMakeLists.txt)

# The module, the tests and the plugin compile the same sources with the same flags: once is enough.
# ccache tells compilers apart by their names.
export CXX
export CMAKE_CXX_COMPILER_LAUNCHER = $(shell command -v ccache)
export CCACHE_BASEDIR = $(abspath ..)
export CCACHE_NOHASHDIR = 1

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# One process more than cores, as most tests wait for others now and then; threads of torch's own
# would wait for each other.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $$(($$(nproc) + 1)) --dist loadfile \
	--no-loadscope-reorder
SOURCES := pyproject.toml $(shell find ampd/engine -name '*.?pp' -o -name CMakeLists.txt)

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.demo  ## play a guitar through the daemon, switch rigs, record it (DI=my.wav: yours)
	@$(BIN)/python -m tests.demo.demo $(if $(DI),--di "$(DI)")

run: $(VENV)/.demo  ## start the daemon for good (ARGS="--rig drive --input system:capture_2")
	@exec $(BIN)/ampd run $(ARGS)

test: $(VENV)/.demo  ## everything but test-long; says what it skipped and why
	@$(MAKE) --no-print-directory -j2 $(VENV)/.dev build/tests/.built
	$(call install_packages,$(BROWSER_PACKAGES))
	ctest --test-dir build/tests --output-on-failure --timeout 300 -j2
	$(PYTEST) -m "not long" $(ARGS)

test-long: $(VENV)/.dev  ## the tests that train for minutes: batches, clusters, whole recordings
	$(PYTEST) -m long $(ARGS)

lint: $(VENV)/.dev  ## formatting, types and sizes
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	find ampd/engine plugin tests/engine tests/fuzz tests/plugin -name '*.?pp' | xargs $(BIN)/clang-format --dry-run --Werror
	$(BIN)/lizard -w -C 15 -L 80 ampd plugin trainer tests

check: lint build/tests/.built  ## the same, and what clang-tidy says of the engine
	$(BIN)/run-clang-tidy.py -clang-tidy-binary $(BIN)/clang-tidy -p build/tests -quiet \
	  -j $(shell nproc) 'ampd/engine/.*' >build/tidy.log 2>&1 || { cat build/tidy.log; exit 1; }

plugin: build/plugin/.built  ## the studio plugin: VST3, LV2 and Standalone, in build/plugin
	@echo "$(PLUGIN)"

plugin-install: build/plugin/.built  ## for this user: ~/.vst3, ~/.lv2 and ~/.local/bin
	@mkdir -p ~/.vst3 ~/.lv2 ~/.local/bin
	cp -r $(PLUGIN)/VST3/ampd.vst3 ~/.vst3/
	cp -r $(PLUGIN)/LV2/ampd.lv2 ~/.lv2/
	install -m 755 $(PLUGIN)/Standalone/ampd ~/.local/bin/ampd-plugin

test-plugin: build/plugin/.tests $(VENV)/.plugin  ## the plugin in hosts, in the process and in windows
	ctest --test-dir build/plugin --output-on-failure --timeout 600
	$(BIN)/python -m pytest tests/plugin $(ARGS)

rtsan: $(VENV)/.apt  ## the engine's tests under clang's RealtimeSanitizer, its marks checked
	$(call install_packages,$(RTSAN_PACKAGES))
	@mkdir -p build
	@cmake -S ampd/engine -B build/rtsan -G Ninja -DCMAKE_CXX_COMPILER=clang++-22 \
	  -DCMAKE_CXX_FLAGS="-Wfunction-effects -Werror" -DAMP_SANITIZE=realtime \
	  -DAMP_BUILD_PYTHON=OFF -DAMP_BUILD_TESTS=ON >build/rtsan.log 2>&1 || { cat build/rtsan.log; exit 1; }
	@cmake --build build/rtsan
	ctest --test-dir build/rtsan --output-on-failure --timeout 300 -j2

asan: $(VENV)/.apt  ## the engine's tests and the fuzzer's kept files under ASan and UBSan
	@mkdir -p build
	@cmake -S ampd/engine -B build/asan -G Ninja -DAMP_SANITIZE=address,undefined \
	  -DAMP_BUILD_PYTHON=OFF -DAMP_BUILD_TESTS=ON >build/asan.log 2>&1 || { cat build/asan.log; exit 1; }
	@cmake --build build/asan
	ctest --test-dir build/asan --output-on-failure --timeout 900 -j2

tsan: $(VENV)/.apt  ## switches while a host plays under ThreadSanitizer, SWITCHES=100 of each kind
	@mkdir -p build
	@cmake -S ampd/engine -B build/tsan -G Ninja -DAMP_SANITIZE=thread \
	  -DAMP_BUILD_PYTHON=OFF -DAMP_BUILD_TESTS=ON >build/tsan.log 2>&1 || { cat build/tsan.log; exit 1; }
	@cmake --build build/tsan --target engine_threads planted
	AMP_THREADS_CHANGES=$(or $(SWITCHES),100) ctest --test-dir build/tsan --output-on-failure \
	  --timeout 1800 -R 'engine_threads|planted_fault'

FUZZERS := model midi osc rig state toml
WHAT ?= $(FUZZERS)

fuzz: $(VENV)/.fuzz $(if $(filter model midi,$(WHAT)),fuzz-programs)  ## attack what is read, MINUTES=10 or RUNS=2000000 each (WHAT="midi osc": some)
	@for what in $(WHAT); do $(BIN)/python -m tests.fuzz.fuzz $$what \
	  $(if $(RUNS),--runs $(RUNS),--minutes $(or $(MINUTES),10)); done

fuzz-programs: $(VENV)/.apt
	$(call install_packages,$(RTSAN_PACKAGES))
	@mkdir -p build
	@cmake -S ampd/engine -B build/fuzz -G Ninja -DCMAKE_CXX_COMPILER=clang++-22 -DAMP_FUZZ=ON \
	  -DAMP_SANITIZE=address,undefined -DAMP_BUILD_PYTHON=OFF -DAMP_BUILD_TESTS=ON \
	  >build/fuzz.log 2>&1 || { cat build/fuzz.log; exit 1; }
	@cmake --build build/fuzz --target fuzz_model fuzz_midi fuzz_seeds
	@build/fuzz/fuzz/fuzz_seeds build/fuzz/seeds

chaos: $(VENV)/.dev  ## faults, attacks and power cuts: the table of systemd/RELIABILITY.md (ARGS="F1 F7")
	$(BIN)/python -m tests.chaos $(ARGS) --write systemd/RELIABILITY.md

soak: $(VENV)/.dev  ## play for MINUTES=10 with the control side under load, a bare JACK client beside it
	MINUTES=$(or $(MINUTES),10) $(BIN)/python -m tests.chaos R5

test-arm: build/arm/.configured  ## the engine's tests built for aarch64, in qemu
	@cmake --build build/arm
	ctest --test-dir build/arm --output-on-failure --timeout 1800 -j $(shell nproc)

bench: $(VENV)/.dev  ## one JSON line a figure: cost, exactness, OSC, switches, rates, training
	@$(BIN)/python -m tests.bench.engine
	@$(BIN)/python -m tests.bench.model_cost
	@$(BIN)/python -m tests.bench.osc_latency
	@$(BIN)/python -m tests.bench.agreement
	@$(BIN)/python -m tests.bench.resampling
	@$(BIN)/python -m tests.bench.hostile
	@$(BIN)/python -m tests.bench.pedalboard
	@$(BIN)/python -m tests.bench.switching --switches 90
	@$(BIN)/python -m tests.bench.training_speed

bench-arm: build/arm/.configured  ## what nets would cost on a Pi 4 and 5: an estimate by llvm-mca
	$(call install_packages,llvm-22)
	@cmake --build build/arm --target one_block
	@$(PYTHON) -m tests.bench.arm_estimate build/arm/tests/one_block

format: $(VENV)/.dev  ## rewrite the sources in the one style
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	find ampd/engine plugin tests/engine tests/fuzz tests/plugin -name '*.?pp' | xargs $(BIN)/clang-format -i

clean:  ## remove what was built; models, rigs and settings stay
	rm -rf build $(VENV) .mypy_cache .pytest_cache .ruff_cache

# $(call install_packages,NAMES): those of them that are missing, by apt.
define install_packages
	@missing=(); for p in $(1); do \
	  dpkg-query -W -f '$${db:Status-Status}' "$$p" 2>/dev/null | grep -qx installed || missing+=("$$p"); done; \
	if (( $${#missing[@]} )); then \
	  echo "installing $${missing[*]}"; \
	  as_root=(env DEBIAN_FRONTEND=noninteractive); (( EUID == 0 )) || as_root=(sudo "$${as_root[@]}"); \
	  "$${as_root[@]}" apt-get -o DPkg::Lock::Timeout=300 -q update; \
	  "$${as_root[@]}" apt-get -o DPkg::Lock::Timeout=300 -q install -y --no-install-recommends "$${missing[@]}"; \
	fi
endef

$(VENV)/.apt: Makefile
	$(call install_packages,$(APT_PACKAGES))
	@mkdir -p $(VENV) && touch $@

$(VENV)/.tools: $(VENV)/.apt
	@echo "virtual environment $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) 'scikit-build-core>=0.11' 'nanobind>=2.4'
	@touch $@

$(VENV)/.demo: $(VENV)/.tools $(SOURCES)
	@echo "building ampd"
	@$(PIP) --no-build-isolation -e '.[demo]'
	@touch $@

$(VENV)/.dev: $(VENV)/.tools pyproject.toml | $(VENV)/.demo
	@echo "installing $(TORCH) and the development tools"
	@$(PIP) $(TORCH)
	@$(PIP) --no-build-isolation -e '.[train,dev]'
	@touch $@

$(VENV)/.fuzz: $(VENV)/.demo pyproject.toml
	@$(PIP) --no-build-isolation -e '.[demo,fuzz]'
	@touch $@

$(VENV)/.plugin: $(VENV)/.demo pyproject.toml
	@$(PIP) --no-build-isolation -e '.[demo,plugin]'
	@touch $@

build/plugin/.built: $(PLUGIN_SOURCES)
	$(call install_packages,$(PLUGIN_PACKAGES))
	@mkdir -p build
	@cmake -S plugin -B build/plugin -G Ninja -DCMAKE_BUILD_TYPE=Release >build/plugin.log 2>&1 \
	  || { cat build/plugin.log; exit 1; }
	@cmake --build build/plugin
	@touch $@

build/plugin/.tests: build/plugin/.built $(wildcard tests/plugin/*.?pp tests/plugin/CMakeLists.txt \
		tests/engine/*.hpp)
	$(call install_packages,$(PLUGIN_TEST_PACKAGES))
	@cmake -S plugin -B build/plugin -DAMP_PLUGIN_TESTS=ON >build/plugin.log 2>&1 \
	  || { cat build/plugin.log; exit 1; }
	@cmake --build build/plugin
	@touch $@

build/arm/.configured: $(VENV)/.apt ampd/engine/aarch64.cmake
	$(call install_packages,$(ARM_PACKAGES))
	@mkdir -p build
	@cmake -S ampd/engine -B build/arm -G Ninja -DCMAKE_BUILD_TYPE=Release \
	  -DCMAKE_TOOLCHAIN_FILE="$(CURDIR)/ampd/engine/aarch64.cmake" \
	  -DAMP_BUILD_PYTHON=OFF -DAMP_BUILD_TESTS=ON >build/arm.log 2>&1 || { cat build/arm.log; exit 1; }
	@touch $@

build/tests/.built: $(VENV)/.tools $(SOURCES) $(wildcard tests/engine/* tests/fuzz/*)
	@mkdir -p build
	@cmake -S ampd/engine -B build/tests -G Ninja -DCMAKE_BUILD_TYPE=Release \
	  -DAMP_BUILD_TESTS=ON -DCMAKE_EXPORT_COMPILE_COMMANDS=ON \
	  -DPython_EXECUTABLE="$(CURDIR)/$(BIN)/python" >build/cmake.log 2>&1 || { cat build/cmake.log; exit 1; }
	@cmake --build build/tests
	@touch $@
