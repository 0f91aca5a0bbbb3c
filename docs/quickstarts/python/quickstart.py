"""Lists the caller's containers, wakes those that sleep, and prints the first records of the audit.

    pip install -r requirements.txt
    python -m grpc_tools.protoc -I ../../../proto --python_out=gen --grpc_python_out=gen $(cd ../../../proto && ls ocmt/v1/*.proto)
    OCMT_ENDPOINT=127.0.0.1:7443 OCMT_CA=ca.pem OCMT_API_KEY=ocmt_key_... python quickstart.py
"""

import os
import sys
import uuid

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "gen"))

import grpc  # noqa: E402
from ocmt.v1 import audit_pb2, audit_pb2_grpc, container_pb2, container_pb2_grpc  # noqa: E402
from ocmt.v1 import container_types_pb2 as types  # noqa: E402

DEADLINE_S = 30  # a wake that takes longer is given up by this client; the container still wakes


def open_channel() -> grpc.Channel:
    """TLS 1.3 to a node, believed by the cluster's own authority alone; each call carries the API key."""
    with open(os.environ["OCMT_CA"], "rb") as file:
        tls = grpc.ssl_channel_credentials(root_certificates=file.read())
    key = grpc.access_token_call_credentials(os.environ["OCMT_API_KEY"])
    return grpc.secure_channel(os.environ["OCMT_ENDPOINT"], grpc.composite_channel_credentials(tls, key))


def pages(call, request, items):
    """All items of a paging method."""
    while True:
        answer = call(request, timeout=DEADLINE_S)
        yield from getattr(answer, items)
        if not answer.next_page_token:
            return
        request.page_token = answer.next_page_token


def main() -> None:
    with open_channel() as channel:
        containers = container_pb2_grpc.ContainerServiceStub(channel)
        audit = audit_pb2_grpc.AuditServiceStub(channel)
        for one in pages(containers.ListContainers, container_pb2.ListContainersRequest(), "containers"):
            print(one.container_id, types.ContainerState.Name(one.state))
            if one.state in (types.CONTAINER_STATE_PAUSED, types.CONTAINER_STATE_STOPPED):
                # the same key for a repeat of this call: it is done once, however often it is sent
                wake = container_pb2.WakeContainerRequest(
                    container_id=one.container_id, idempotency_key=uuid.uuid4().hex.encode()
                )
                answer, call = containers.WakeContainer.with_call(wake, timeout=DEADLINE_S)
                woken = dict(call.initial_metadata())
                print("  woke", woken.get("ocmt-wake-kind"), woken.get("ocmt-wake-ms"), "ms")
        first = audit.QueryAudit(audit_pb2.QueryAuditRequest(page_size=5, ascending=True), timeout=DEADLINE_S)
        for record in first.records:
            print(record.sequence, record.action, record.reason or "ok")


if __name__ == "__main__":
    try:
        main()
    except grpc.RpcError as error:
        # the reason is stable, the text is for people
        sys.exit(f"{error.code().name}: {error.details()}")
