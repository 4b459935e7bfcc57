# The image carries aioimaplib, which is GPL-3.0-only: see NOTICE.
FROM python:3.12-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY operator operator
RUN pip install --no-cache-dir --prefix=/install .

FROM python:3.12-slim
COPY --from=build /install /usr/local
COPY LICENSE NOTICE /usr/share/doc/postroom/
USER 65532:65532
ENV PYTHONUNBUFFERED=1
ENTRYPOINT ["postroom"]
