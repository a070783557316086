# One image for our four services of docker-compose.yml; the command chooses which of them a container is.

FROM python:3.13-slim AS build
WORKDIR /src
RUN python -m venv /opt/deepnode
# The dependencies come first, so that a change of the code alone does not download them again.
COPY requirements.lock ./
RUN /opt/deepnode/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY . ./
RUN /opt/deepnode/bin/pip install --no-cache-dir --no-deps .

FROM python:3.13-slim
RUN useradd --system --uid 10001 --home-dir /var/lib/deepnode --create-home deepnode \
    && install --directory --owner deepnode /var/lib/deepnode/published
COPY --from=build /opt/deepnode /opt/deepnode
ENV PATH="/opt/deepnode/bin:$PATH" \
    PYTHONUNBUFFERED=1
USER deepnode
WORKDIR /var/lib/deepnode
ENTRYPOINT ["deepnode"]
CMD ["--help"]
