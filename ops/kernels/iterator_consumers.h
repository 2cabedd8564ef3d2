// The iterators of tf.data that consume what one of ours yields, as named in its prefix:
// "Iterator::Root::Prefetch::Shard::BatchV2::FlatMap[0]::Pcr".

#ifndef PCR_OPS_KERNELS_ITERATOR_CONSUMERS_H_
#define PCR_OPS_KERNELS_ITERATOR_CONSUMERS_H_

#include <string_view>
#include <vector>

namespace pcr {

// The nearest first: "FlatMap", "BatchV2", "Shard", ...
inline std::vector<std::string_view> ConsumersOf(std::string_view prefix) {
  std::vector<std::string_view> consumers;
  size_t end = prefix.rfind("::");  // without this iterator's own name
  while (end != std::string_view::npos && end > 0) {
    const size_t separator = prefix.rfind("::", end - 1);
    const size_t begin = separator == std::string_view::npos ? 0 : separator + 2;
    const std::string_view name = prefix.substr(begin, end - begin);
    consumers.push_back(name.substr(0, name.find('[')));
    end = separator;
  }
  return consumers;
}

// Whether an iterator is one of `op`, in this or in a later version: "Shard", "ShardV2".
inline bool IsOp(std::string_view iterator, std::string_view op) {
  if (iterator.substr(0, op.size()) != op) return false;
  iterator.remove_prefix(op.size());
  return iterator.empty() ||
         (iterator.front() == 'V' && iterator.find_first_not_of("0123456789", 1) == iterator.npos);
}

}  // namespace pcr

#endif  // PCR_OPS_KERNELS_ITERATOR_CONSUMERS_H_
