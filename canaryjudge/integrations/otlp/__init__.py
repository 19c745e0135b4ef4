"""OpenTelemetry: OTLP's metrics as data."""
