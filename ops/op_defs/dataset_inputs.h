// PCR_DATASET_INPUTS: the inputs of the op PcrDataset, in their order.
//
// The registration of the op, and what its kernel parses, checks and writes into graphs, follow
// from this list. A new input is a line here, one in the op's Doc, and a parameter in
// pcr_tf/_op_signatures.py, which a test compares with the op.

#ifndef PCR_OPS_OP_DEFS_DATASET_INPUTS_H_
#define PCR_OPS_OP_DEFS_DATASET_INPUTS_H_

// SCALAR(type, name, range) or VECTOR(type, name, range) for each: the type is TensorFlow's name of
// it, the range one of ops/kernels/dataset_inputs.cc, which each value must lie in.
#define PCR_DATASET_INPUTS(SCALAR, VECTOR)                              \
  VECTOR(string, paths, Any())                                          \
  SCALAR(int64, scan_groups, Any())                                     \
  SCALAR(bool, shuffle, Any())                                          \
  SCALAR(int64, seed, Any())                                            \
  SCALAR(bool, seed_is_private, Any())                                  \
  SCALAR(int64, seeded_shuffles, AtLeast(0))                            \
  SCALAR(int64, num_shards, AtLeast(1))                                 \
  SCALAR(int64, shard_index, Any())                                     \
  SCALAR(int64, reads_in_flight, AutoOr(Between(1, 1024, "1 to 1024"))) \
  SCALAR(int64, bytes_in_flight, AutoOr(AtLeast(1)))                    \
  SCALAR(string, shared_id, Any())                                      \
  SCALAR(int64, first_epoch, Between(0, kMaxEpoch, "0 to 2^62 - 1"))    \
  VECTOR(int64, resume_num_shards, Between(1, 1 << 20, "1 to 2^20"))    \
  VECTOR(int64, resume_examples, AtLeast(0))                            \
  SCALAR(bool, provenance, Any())                                       \
  SCALAR(string, fidelity, Any())                                       \
  SCALAR(int64, fidelity_poll_ms, Any())

#endif  // PCR_OPS_OP_DEFS_DATASET_INPUTS_H_
