#include "authority/query/lookup.h"

#include <array>

namespace mutua::authority {
namespace {

using wire::RRType;

// What exists for questions.
const ZoneNode* existing(const ZoneVersion& version, const ZoneNode* node) {
  return node && !version.nsec3_owners().empty() && node->is_denial_alone() ? nullptr : node;
}
const ZoneNode* node_at(const ZoneVersion& version, BytesView folded) {
  return existing(version, version.node(folded));
}

// Nothing exists at the name: the wildcard below its closest encloser, or a name error.
Lookup beyond(const ZoneVersion& version, const FoldedName& name, unsigned encloser_labels) {
  constexpr std::array<std::uint8_t, 2> kAsterisk{1, '*'};
  FoldedName wildcard;
  // Cannot be too long: the name has a label of at least one octet in this place.
  if (wildcard.join(kAsterisk, name.suffix(encloser_labels)))
    if (const ZoneNode* node = node_at(version, wildcard.wire()))
      return {Lookup::Kind::wildcard, node, encloser_labels + 1};
  return {Lookup::Kind::name_error, nullptr, encloser_labels};
}

// In a zone without cuts. All ancestors of an existing name exist, so that the closest encloser
// can be found by halving.
Lookup look_up_uncut(const ZoneVersion& version, const FoldedName& name, const ZoneNode* found) {
  if (found) return {Lookup::Kind::found, found, name.label_count()};
  unsigned exists = version.folded_apex().label_count();
  unsigned missing = name.label_count();
  while (missing - exists > 1) {
    const unsigned middle = exists + (missing - exists) / 2;
    (node_at(version, name.suffix(middle)) ? exists : missing) = middle;
  }
  return beyond(version, name, exists);
}

}  // namespace

Lookup look_up(const ZoneVersion& version, const FoldedName& name, const ZoneNode* found,
               RRType type) {
  if (version.cut_count() == 0) return look_up_uncut(version, name, existing(version, found));

  const unsigned apex_labels = version.folded_apex().label_count();
  for (unsigned labels = apex_labels; labels <= name.label_count(); ++labels) {
    const ZoneNode* node = node_at(version, name.suffix(labels));
    if (!node) return beyond(version, name, labels - 1);
    const bool is_name = labels == name.label_count();
    // The DS of a cut is the parent's to answer (RFC 4035 section 3.1.4.1).
    const bool parent_side = is_name && type == RRType::ds;
    if (labels > apex_labels && !parent_side && node->ready(RRType::ns))
      return {Lookup::Kind::delegation, node, labels};
    if (!is_name && node->ready(RRType::dname)) return {Lookup::Kind::dname, node, labels};
    if (is_name) return {Lookup::Kind::found, node, labels};
  }
  return beyond(version, name, apex_labels);  // not reached: the apex exists
}

}  // namespace mutua::authority
