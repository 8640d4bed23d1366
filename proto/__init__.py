"""Every contract between processes: .proto files and their generated code, typed values, reasons, endpoints."""
