sluice_fuzz_target(wire_frame wire_frame_fuzz.c LINKS sluice_wire)
sluice_fuzz_target(wire_compressed wire_compressed_fuzz.c LINKS sluice_wire)
sluice_fuzz_target(wire_hello wire_hello_fuzz.c LINKS sluice_wire)
sluice_fuzz_target(request request_fuzz.c LINKS sluice_session)
