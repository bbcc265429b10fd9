# syntax=docker/dockerfile:1
# The agent in a container. Build from the top of the source:
#
#   docker build -f packaging/container/agent.Dockerfile -t tailslate-agent .
#   docker run -d --name node-1 --restart on-failure --stop-timeout 60 \
#       -v tailslate-agent:/var/lib/tailslate-agent -v ./agent.cfg:/etc/tailslate/agent.cfg:ro \
#       -v ./agent.key:/etc/tailslate/agent.key:ro tailslate-agent
#
# - The volume is the spool: without a persistent one, finished work is lost with the container.
# - One container is one PID namespace: when it ends, its transcodes end with it (under systemd they
#   outlive the agent). Nothing is lost but their progress: the next container goes on where the
#   records stand. To lose none of it, drain first: docker kill -s USR1 node-1; docker wait node-1
# - The agent is pid 1 here. It starts no shell, forwards no signal, and takes SIGTERM itself.
# - agent.key is mode 0600 and owned by uid 64000, the user below.
FROM debian:12-slim AS build
COPY packaging/dependencies.sh /src/packaging/
RUN /src/packaging/dependencies.sh build package
COPY . /src
RUN cp -r /src/packaging/debian /src/debian && cd /src && dpkg-buildpackage --no-sign -b

FROM debian:12-slim
COPY --from=build /tailslate-agent_*.deb /tmp/
# The user first, so that its number is known to whoever mounts files; the package brings the rest.
RUN groupadd -g 64000 tailslate-agent \
    && useradd -u 64000 -g 64000 -d /var/lib/tailslate-agent -s /usr/sbin/nologin tailslate-agent \
    && apt-get -q update \
    && DEBIAN_FRONTEND=noninteractive apt-get -qy --no-install-recommends install \
        systemd-standalone-sysusers systemd-standalone-tmpfiles /tmp/tailslate-agent_*.deb \
    && install -d -m 700 -o 64000 -g 64000 /var/lib/tailslate-agent \
    && rm -rf /var/lib/apt/lists/* /tmp/*.deb
USER 64000:64000
VOLUME /var/lib/tailslate-agent
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/tailslate-agent"]
CMD ["run"]
