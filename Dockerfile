# syntax=docker/dockerfile:1
# epochd with all it needs, Fashion-MNIST included: the image runs without a network.
#
#   docker build -t epochd:cpu .
#   docker build -t epochd:cuda --build-arg TORCH=cuda .

ARG PYTHON=3.11

FROM python:${PYTHON}-slim-trixie AS build
ARG TORCH=cpu
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv /opt/epochd
ENV PATH=/opt/epochd/bin:$PATH
WORKDIR /src
COPY constraints.txt ./
# PyTorch first, in a layer that a change of the code does not touch. PyPI has the CUDA build, PyTorch's index the small one.
RUN case "$TORCH" in \
      cpu) set -- --extra-index-url https://download.pytorch.org/whl/cpu ;; \
      cuda) set -- ;; \
      *) echo "TORCH is cpu or cuda, not '$TORCH'" >&2; exit 1 ;; \
    esac \
 && pip install -c constraints.txt "$@" torch torchvision
COPY pyproject.toml README.md LICENSE ./
COPY api api
COPY epochd epochd
COPY migrations migrations
COPY mlcore mlcore
COPY store store
COPY worker worker
RUN pip install -c constraints.txt '.[server]'

FROM build AS images
WORKDIR /srv/epochd
RUN apt-get update \
 && python -m mlcore.data.fashion_mnist --root /srv/epochd \
 && rm -rf /var/lib/apt/lists/*

FROM python:${PYTHON}-slim-trixie
LABEL org.opencontainers.image.title="epochd" \
      org.opencontainers.image.description="A REST training service with a job queue." \
      org.opencontainers.image.licenses="MIT"
RUN useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin epochd
COPY --from=build /opt/epochd /opt/epochd
COPY --from=images /srv/epochd/FashionMNIST /srv/epochd/FashionMNIST
# What is written at run time goes to /tmp: the rest may be read-only.
ENV PATH=/opt/epochd/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    MPLCONFIGDIR=/tmp/matplotlib \
    EPOCHD_DATA=/srv/epochd
WORKDIR /srv/epochd
USER epochd
EXPOSE 8000
CMD ["epochd", "--help"]
