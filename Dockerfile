# One image for every process; docker-compose.yml says which one a container runs.
# Checked statically and by running each command by hand: it was never built where it was written.
FROM python:3.11-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/venv
COPY requirements.txt /tmp/requirements.txt
RUN /opt/venv/bin/python -m pip install -r /tmp/requirements.txt

FROM python:3.11-slim
RUN useradd --uid 10001 --create-home --home-dir /home/secondlook secondlook \
    && install -d -o secondlook -g secondlook -m 700 /data /inbox
COPY --from=build /opt/venv /opt/venv
WORKDIR /app
COPY manage.py pyproject.toml LICENSE ./
COPY config config
COPY detection detection
COPY inspection inspection
COPY review review
COPY training training
COPY templates templates
COPY static static
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    SECONDLOOK_DATA=/data \
    SECONDLOOK_INBOX=/inbox \
    SECONDLOOK_BIND=0.0.0.0:8000
# Compiled once here; the program's own folder stays read-only to the process.
RUN python -m compileall -q config detection inspection review training
USER secondlook
VOLUME ["/data", "/inbox"]
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=15s --start-period=60s CMD ["python", "-m", "config.health", "web"]
CMD ["python", "-m", "config.processes", "web"]
