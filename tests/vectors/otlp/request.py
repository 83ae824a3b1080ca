"""Writes request.bin: two spans as the library of OpenTelemetry has them (pip install opentelemetry-proto)."""
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

request = ExportTraceServiceRequest()
resource = request.resource_spans.add()


def text(holder, name, value):
    attribute = holder.attributes.add()
    attribute.key = name
    attribute.value.string_value = value


def number(holder, name, value):
    attribute = holder.attributes.add()
    attribute.key = name
    attribute.value.int_value = value


text(resource.resource, "service.name", "vidgate")
text(resource.resource, "service.version", "0.1.0")
scope = resource.scope_spans.add()
scope.scope.name = "vidgate"
scope.scope.version = "0.1.0"

span = scope.spans.add()
span.trace_id, span.span_id, span.parent_span_id = b"\x11" * 16, b"\x22" * 8, b"\x33" * 8
span.trace_state = "a=1,b=2"
span.name, span.kind = "GET all", Span.SPAN_KIND_SERVER
span.start_time_unix_nano, span.end_time_unix_nano = 1735689600000000000, 1735689600250000000
text(span, "http.request.method", "GET")
number(span, "http.response.status_code", 503)
text(span, "url.path", "/a/ü")
text(span, "vidgate.account", "")
number(span, "http.response.body.size", 300)
span.status.code = Status.STATUS_CODE_ERROR
span.flags = 0x1 | 0x100 | 0x200

span = scope.spans.add()
span.trace_id, span.span_id, span.parent_span_id = b"\x11" * 16, b"\x44" * 8, b"\x22" * 8
span.name, span.kind = "GET", Span.SPAN_KIND_CLIENT
span.start_time_unix_nano, span.end_time_unix_nano = 1735689600000000000, 1735689600250000000
span.flags = 0x1 | 0x100

with open("request.bin", "wb") as file:
    file.write(request.SerializeToString(deterministic=True))
