-- Prints what wrk counted as one line, in whole units: its own summary rounds to three digits.
function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    "COUNTED requests=%d bytes=%d microseconds=%d p50=%d p99=%d status=%d socket=%d\n",
    summary.requests, summary.bytes, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
