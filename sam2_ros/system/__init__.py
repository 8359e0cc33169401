"""Process and machine: devices, cache folder, memory allocator, cancellation at shutdown."""
