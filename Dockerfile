# The image carries aioimaplib, which is GPL-3.0-only: see NOTICE.
# The index of 3.12.14 on Debian 13 as of September 2026. Renew it with the newest patch release:
#   docker buildx imagetools inspect python:3.12-slim
ARG PYTHON=python:3.12-slim@sha256:78387bc3881b8273120a12ebe6c1ab22b018ccc2c9adf565ae1ac9b536e184ea
FROM ${PYTHON} AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY operator operator
RUN pip install --no-cache-dir --prefix=/install .

FROM ${PYTHON}
COPY --from=build /install /usr/local
COPY LICENSE NOTICE /usr/share/doc/postroom/
USER 65532:65532
# What `postroom --version` says: --build-arg COMMIT=$(git rev-parse HEAD).
ARG COMMIT=
ENV PYTHONUNBUFFERED=1 POSTROOM_COMMIT=${COMMIT}
ENTRYPOINT ["postroom"]
