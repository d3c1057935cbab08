# frtune in a container, for CPUs or for NVIDIA GPUs:
#   docker build -t frtune .
#   docker build -t frtune:cuda --build-arg DEVICE=cuda .
#   docker run --rm -v "$PWD:/work" frtune train classification --output-dir runs/first
#   docker run --rm --gpus all -v "$PWD:/work" frtune:cuda train keyphrases --data articles/ ...
# or with the HTTP API alone, which compose.yaml starts (docs/serve.md):
#   docker build -t frtune-serve --target serve .
# DEVICE=cuda has what all training on GPUs needs, ZeRO-2 and ZeRO-3 with offload too: DeepSpeed
# compiles its optimiser for the host with g++ alone. To build on another image, which needs a Python
# from 3.10 on with pip: --build-arg BASE=...
ARG BASE=python:3.11-slim-bookworm
# hadolint ignore=DL3006
FROM ${BASE} AS installed
ARG DEVICE=cpu
ARG EXTRAS=ko,flaubert,plots

SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# the compiler is for DeepSpeed's extensions; distributions drop old versions, so none is pinned
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1000 --create-home frtune

WORKDIR /opt/frtune
COPY constraints.txt pyproject.toml README.md LICENSE ./
# torch first and alone: its layer is large and seldom changes; wheels for CPUs have an index of their own
RUN case "$DEVICE" in \
      cpu) pip install --no-cache-dir -c constraints.txt torch --index-url https://download.pytorch.org/whl/cpu ;; \
      cuda) pip install --no-cache-dir -c constraints.txt torch ;; \
      *) echo "DEVICE=$DEVICE: cpu or cuda." >&2; exit 1 ;; \
    esac
COPY src ./src
RUN pip install --no-cache-dir -c constraints.txt ".[$EXTRAS]"

# the API: models are mounted below /models, and nothing is written but temporary files
FROM installed AS serve
RUN pip install --no-cache-dir -c constraints.txt ".[serve]"
USER 1000
WORKDIR /models
ENV HF_HUB_OFFLINE=1 HF_HOME=/tmp/huggingface XDG_CACHE_HOME=/tmp/cache
EXPOSE 8000
HEALTHCHECK --start-period=300s --interval=30s --timeout=5s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/ready')"]
ENTRYPOINT ["frtune", "serve", "--host", "0.0.0.0"]
CMD ["/models/model"]

FROM installed AS frtune
USER 1000
WORKDIR /work
ENTRYPOINT ["frtune"]
CMD ["--help"]
