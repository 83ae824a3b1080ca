# syntax=docker/dockerfile:1
FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src src
# The cache keeps dependencies between builds; the binary must leave it before the step ends.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin vidgate && install -m 0755 target/release/vidgate /vidgate

FROM debian:bookworm-slim
# The roots by which upstreams with public certificates are checked.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --no-create-home --uid 10001 --shell /usr/sbin/nologin vidgate
COPY --from=build /vidgate /usr/local/bin/vidgate
USER 10001:10001
# Mount the configuration and the files that it names here, readable by user 10001. Ports below 1024 are not for this
# user: listen on 8443 and publish it as 443.
WORKDIR /etc/vidgate
VOLUME /etc/vidgate
EXPOSE 8443
ENTRYPOINT ["/usr/local/bin/vidgate"]
CMD ["serve", "--config", "/etc/vidgate/vidgate.toml"]
