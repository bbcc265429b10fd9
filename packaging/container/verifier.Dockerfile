# syntax=docker/dockerfile:1
# The verifier in a container. Build from the top of the source:
#
#   docker build -f packaging/container/verifier.Dockerfile -t tailslate-verifier .
#   docker run -d --name tailslate --restart on-failure -p 9002:9002 \
#       -v tailslate:/var/lib/tailslate tailslate-verifier
#   docker exec tailslate tailslate-verifier worker add node-1
#
# - The volume holds database, sources and renditions.
# - Inside it listens on all addresses: what reaches it is decided by -p, and by a proxy that does TLS.
# - It is pid 1 and starts nothing: SIGTERM ends it within 10 s, docker's own patience.
FROM debian:12-slim AS build
COPY packaging/dependencies.sh /src/packaging/
RUN /src/packaging/dependencies.sh build package
COPY . /src
RUN cp -r /src/packaging/debian /src/debian && cd /src && dpkg-buildpackage --no-sign -b

FROM debian:12-slim
COPY --from=build /tailslate-verifier_*.deb /tmp/
# The user first, so that its number is known to whoever mounts files; the package brings the rest.
RUN groupadd -g 64001 tailslate-verifier \
    && useradd -u 64001 -g 64001 -d /var/lib/tailslate -s /usr/sbin/nologin tailslate-verifier \
    && apt-get -q update \
    && DEBIAN_FRONTEND=noninteractive apt-get -qy --no-install-recommends install \
        systemd-standalone-sysusers systemd-standalone-tmpfiles /tmp/tailslate-verifier_*.deb \
    && install -d -m 755 -o 64001 -g 64001 /var/lib/tailslate /var/lib/tailslate/uploads /var/lib/tailslate/videos \
    && rm -rf /var/lib/apt/lists/* /tmp/*.deb
ENV TAILSLATE_LISTEN_ADDRESS=0.0.0.0
USER 64001:64001
VOLUME /var/lib/tailslate
EXPOSE 9002
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/tailslate-verifier"]
CMD ["serve"]
