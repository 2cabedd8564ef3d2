// CheckShardNames: whether the files of a folder are all of those that their
// names say there are (docs/FORMAT.md, section 11).

#ifndef PCR_OPS_FORMAT_SHARD_NAMES_H_
#define PCR_OPS_FORMAT_SHARD_NAMES_H_

#include <string>
#include <vector>

#include "ops/base/status.h"

namespace pcr {

// INVALID_ARGUMENT if some of the files <prefix>-00000-of-00008.pcr to
// <prefix>-00007-of-00008.pcr are among `names` and others are not. Names of
// another form, and sets that are counted from 1, say nothing.
Status CheckShardNames(const std::vector<std::string>& names);

}  // namespace pcr

#endif  // PCR_OPS_FORMAT_SHARD_NAMES_H_
