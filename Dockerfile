# The image carries aioimaplib, which is GPL-3.0-only: see NOTICE. docs/image.md says how it is made.
# The index of 3.12.14 on Debian 13 as of September 2026. Renew it with the newest patch release:
#   docker buildx imagetools inspect python:3.12-slim
ARG PYTHON=python:3.12-slim@sha256:78387bc3881b8273120a12ebe6c1ab22b018ccc2c9adf565ae1ac9b536e184ea

FROM ${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_COMPILE=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
# What changes seldom first: these two layers last until a lock changes.
COPY image/requirements.lock image/build.lock image/
RUN python -m pip install --require-hashes --no-deps --only-binary :all: --prefix /install -r image/requirements.lock \
 && python -m pip install --require-hashes --no-deps --only-binary :all: -r image/build.lock
COPY image image
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY operator operator
ARG SOURCE_DATE_EPOCH=0
RUN python -m pip install --no-build-isolation --no-deps --no-index --prefix /install . \
 && site=$(echo /install/lib/python3.*/site-packages) \
 && python image/slim.py "$site" \
 && python -m compileall -q -j 0 --invalidation-mode unchecked-hash "$site" \
 && python image/sbom.py > /install/postroom.spdx.json

FROM ${PYTHON}
COPY --from=build /install/lib /usr/local/lib
COPY --from=build /install/bin /usr/local/bin
COPY --from=build /install/postroom.spdx.json /usr/share/doc/postroom/
COPY LICENSE NOTICE /usr/share/doc/postroom/
USER 65532:65532
# The version and the commit, which `postroom --version` says too; where the source is, and from when.
ARG VERSION=
ARG COMMIT=
ARG SOURCE=
ARG CREATED=
LABEL org.opencontainers.image.title="postroom" \
      org.opencontainers.image.description="Email infrastructure as Kubernetes resources: the operator and its command line" \
      org.opencontainers.image.licenses="Apache-2.0 AND GPL-3.0-only" \
      org.opencontainers.image.vendor="The postroom authors" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${COMMIT}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.created="${CREATED}"
# Its modules are compiled; nothing is written, as its root is read-only.
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 POSTROOM_COMMIT=${COMMIT}
ENTRYPOINT ["postroom"]
