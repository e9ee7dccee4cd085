# Two commands for a stranger: `make demo` and `make test`. The rest in README.md.
PYTHON ?= python3
SETUP = $(PYTHON) scripts/setup_env.py
IN_ENV = scripts/with_env
# Tests of optional parts skip where those are missing; here none of these may be missing.
# NVIDIA's compiler exists for x86-64 only.
RTX = $(if $(filter x86_64,$(shell uname -m)),tensorrt_rtx_bindings$(COMMA))
COMMA = ,
REQUIRED = aiohttp,playwright,av,cv2,davisinteractive,importlinter,matplotlib,onnx,onnxruntime,openvino,PIL,pycocotools,skimage,torch,timm,lightning,jsonargparse,tensorboard,rosbags,rclpy,siampolar_ros.msg,wheel,yaml,motmetrics,pandas,supervision,shapely,rerun.chunk,nbclient,nbformat,ipykernel
PYTEST = SIAMPOLAR_REQUIRE=$(RTX)$(REQUIRED) $(IN_ENV) python -m pytest

.PHONY: help setup setup-dev demo console console-cost test test-all test-oldest test-jazzy test-arm64 soak lint docs clean

help:
	@echo "make demo         follow a cyclist over real ROS 2, in a browser (HEADLESS=1: write a video)"
	@echo "make console VIDEO=file-or-folder [BOX=x,y,w,h]   the same with your video: point at an object"
	@echo "make console-cost [MINUTES=n]   what the console costs a tracker at 1280x720, 30 Hz"
	@echo "make setup        only create the environment in .venv/ and build the messages"
	@echo "make test         make lint and the fast tests (test-all: the slow ones as well)"
	@echo "make test-oldest  Python 3.10, NumPy 1.21 and OpenCV 4.5, without ROS and torch"
	@echo "make test-jazzy   the tests that need ROS 2, on ROS 2 Jazzy from wheels"
	@echo "make test-arm64   tests that need neither ROS nor torch on emulated 64-bit ARM, an hour"
	@echo "make soak [MINUTES=n OUT=folder]   run the node for minutes and look for leaks"
	@echo "make docs         the site of docs/, in site/"
	@echo "make lint         ruff, mypy and the layers of imports, without tests"

setup:
	@$(SETUP)

setup-dev:
	@$(SETUP) --with train,dev,openvino,replay

# Handed over in the environment: a path may hold any character.
demo: export DEMO_VIDEO = $(VIDEO)
demo: export DEMO_BOX = $(BOX)
demo: export DEMO_OUT = $(or $(OUT),demo_out)
demo: setup
	@$(IN_ENV) siampolar demo --out "$$DEMO_OUT" $(if $(HEADLESS),--headless) \
		$${DEMO_VIDEO:+--video "$$DEMO_VIDEO"} $${DEMO_BOX:+--box "$$DEMO_BOX"}

console: $(if $(VIDEO),,console-needs-video) demo

console-needs-video:
	@echo "make console: give a video: make console VIDEO=my.mp4" >&2; exit 2

console-cost: setup-dev
	@$(IN_ENV) python scripts/console_cost.py --minutes $(or $(MINUTES),10)

lint: setup-dev
	$(IN_ENV) ruff check .
	$(IN_ENV) ruff format --check .
	$(IN_ENV) mypy
	$(IN_ENV) lint-imports --no-cache

test: lint
	$(PYTEST) -m "not slow"

test-all: lint
	$(PYTEST)

test-oldest:
	scripts/test_oldest

test-jazzy:
	PYTHON=$(PYTHON) scripts/test_jazzy

test-arm64: setup
	scripts/test_arm64

docs:
	@$(SETUP) --with docs
	NO_MKDOCS_2_WARNING=1 $(IN_ENV) python -m mkdocs build --strict --quiet
	@echo "docs: open site/index.html"

soak: export SOAK_OUT = $(or $(OUT),soak_out)
soak: setup-dev
	@$(IN_ENV) python scripts/soak.py --minutes $(or $(MINUTES),10) --out "$$SOAK_OUT"

clean:
	rm -rf .venv .venv-oldest .venv-jazzy .arm64 .ros .ros-jazzy demo_out soak_out site
