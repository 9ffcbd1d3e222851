# The service in a small image: no compiler, no embedded database, not root.

FROM python:3.13-slim AS build
WORKDIR /build
COPY requirements.lock requirements-build.lock ./
RUN python -m venv /venv \
 && /venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY lottery lottery
COPY enrollment enrollment
COPY migrations migrations
# What makes the wheel has a virtual environment of its own, and stays out of the image.
RUN python -m venv /tools \
 && /tools/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements-build.lock \
 && /tools/bin/python -m hatchling build -t wheel -d /wheels \
 && /venv/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps /wheels/*.whl \
 && /venv/bin/pip uninstall --yes pip

FROM python:3.13-slim
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin enrollment
COPY --from=build /venv /venv
# What the fast engine compiles on its first match is kept here, as long as the container lives.
ENV NUMBA_CACHE_DIR=/tmp/numba
ENV PATH=/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER enrollment
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
CMD ["enrollment", "serve", "--host", "0.0.0.0", "--port", "8000"]
