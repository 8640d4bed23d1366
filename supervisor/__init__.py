"""Decides and drives: the gRPC services, clock, planner, executor pool, recovery. Nobody imports this room."""
