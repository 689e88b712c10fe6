# Instruct-Ablate as an image, everything but torch from the lock.
#
#   docker build -t instruct-ablate .                                        # torch as pip finds it: on Linux with CUDA
#   docker build -t instruct-ablate:cpu --build-arg TORCH_INDEX=URL .        # URL: PyTorch's index of CPU builds
#   docker build -t instruct-ablate:cuda --build-arg BASE=nvidia/cuda:13.0.1-runtime-ubuntu24.04 .
#   docker run --rm -v "$PWD:/work" instruct-ablate train -m experiment=quickstart
#   docker run --rm --gpus all -v "$PWD:/work" instruct-ablate:cuda train -m experiment=quickstart
ARG BASE=python:3.11-slim
FROM ${BASE}
ARG TORCH_INDEX=""

# The CUDA bases come without Python; theirs is 3.12.
RUN command -v python3 >/dev/null || (apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*)
ENV PATH=/opt/venv/bin:$PATH PIP_NO_CACHE_DIR=1 PYTHONUNBUFFERED=1

# What changes seldom comes first: a change of the code alone builds in seconds.
COPY lock/sweep.txt /opt/instruct-ablate/lock/sweep.txt
RUN python3 -m venv /opt/venv && pip install --require-hashes --no-deps -r /opt/instruct-ablate/lock/sweep.txt
RUN pip install ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} 'torch==2.13.*'
COPY pyproject.toml setup.py README.md LICENSE /opt/instruct-ablate/
COPY conf /opt/instruct-ablate/conf
COPY src /opt/instruct-ablate/src
RUN pip install /opt/instruct-ablate && pip check && instruct-ablate --version

# Results go to /work/multirun, prepared data and models to /work/.cache, unless told otherwise.
WORKDIR /work
ENTRYPOINT ["instruct-ablate"]
CMD ["--help"]
