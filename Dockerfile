# One image for all: the service, the sandbox, and what ships versions.
FROM python:3.13-slim AS build
COPY requirements.lock .
RUN python -m venv --without-pip /opt/venv \
 && python -m pip --python /opt/venv/bin/python install \
    --no-cache-dir --no-deps --only-binary :all: --require-hashes -r requirements.lock
COPY app /srv/app
# The chart starts images of all versions side by side, and by this script, so that code can move from one to the next.
RUN echo /srv > "$(/opt/venv/bin/python -c 'import site; print(site.getsitepackages()[0])')/betting.pth" \
 && printf '%s\n' '#!/opt/venv/bin/python' 'from app.__main__ import main' 'main()' > /opt/venv/bin/betting \
 && chmod 755 /opt/venv/bin/betting
# A read-only root keeps no bytecode; without it each start would compile everything again.
RUN /opt/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/venv/lib /srv/app

FROM python:3.13-slim
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="betting" \
      org.opencontainers.image.description="A durable betting back office on Restate" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
# The release commands make the request-signing key with it.
RUN openssl version
COPY --from=build /opt/venv /opt/venv
COPY --from=build /srv /srv
WORKDIR /srv
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    BETTING_HOST=0.0.0.0
USER 10001:10001
EXPOSE 9080
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s CMD ["python", "-c", \
    "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ.get(\"BETTING_PORT\", 9080)}/health')"]
ENTRYPOINT ["betting"]
CMD ["serve"]
