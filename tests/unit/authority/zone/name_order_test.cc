#include "authority/zone/name_order.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <string>
#include <vector>

namespace mutua::authority {
namespace {

wire::Name name(const std::string& text) { return wire::Name::parse(text).value(); }
wire::Name shown(BytesView found) {
  return found.empty() ? wire::Name() : wire::Name::from_wire(found).value();
}
OrderKey key(const wire::Name& name) { return OrderKey(FoldedName(name)); }

TEST(OrderKey, OrdersAsRfc4034Does) {
  // Section 6.1, its own example.
  const std::vector<std::string> ordered{"example",         "a.example",      "yljkjljk.a.example",
                                         "Z.a.example",     "zABC.a.EXAMPLE", "z.example",
                                         "\\001.z.example", "*.z.example",    "\\200.z.example"};
  for (std::size_t i = 1; i < ordered.size(); ++i) {
    const OrderKey before = key(name(ordered[i - 1])), after = key(name(ordered[i]));
    EXPECT_TRUE(std::lexicographical_compare(before.octets().begin(), before.octets().end(),
                                             after.octets().begin(), after.octets().end()))
        << ordered[i];
  }
}

TEST(OrderKey, AgreesWithTheOrderOfNames) {
  std::mt19937 random(3);
  const std::string octets("\0\1\2aB\377", 6);
  const auto any_name = [&] {
    wire::Name made = name("test");
    for (auto labels = random() % 4; labels > 0; --labels) {
      std::string label;
      for (auto size = 1 + random() % 3; size > 0; --size)
        label += octets[random() % octets.size()];
      made = made.child(label).value();
    }
    return made;
  };
  for (int i = 0; i < 5000; ++i) {
    const wire::Name a = any_name(), b = any_name();
    const OrderKey one = key(a), other = key(b);
    const bool less = std::lexicographical_compare(one.octets().begin(), one.octets().end(),
                                                   other.octets().begin(), other.octets().end());
    ASSERT_EQ(less, a < b) << a.to_text() << " " << b.to_text();
  }
}

TEST(NameOrder, MatchesAnOrdinarySetAndOlderCopiesStand) {
  std::mt19937 random(4);
  NameOrder order;
  std::set<wire::Name> model;
  std::vector<std::pair<NameOrder, std::set<wire::Name>>> history;
  for (int step = 0; step < 3000; ++step) {
    const wire::Name one = name("n" + std::to_string(random() % 300) + ".test");
    if (random() % 2) {
      order.insert(one);
      model.insert(one);
    } else {
      order.erase(one);
      model.erase(one);
    }
    if (step % 100 == 0) history.emplace_back(order, model);
  }
  history.emplace_back(order, model);
  for (const auto& [past, expected] : history) {
    ASSERT_EQ(past.empty(), expected.empty());
    if (expected.empty()) continue;
    EXPECT_EQ(shown(past.first()), *expected.begin());
    EXPECT_EQ(shown(past.last()), *expected.rbegin());
    for (int i = 0; i < 300; ++i) {
      const wire::Name probe = name("n" + std::to_string(i) + ".test");
      const auto above = expected.upper_bound(probe);
      ASSERT_EQ(shown(past.after(key(probe))), above == expected.end() ? wire::Name() : *above);
      ASSERT_EQ(shown(past.at_or_before(key(probe))),
                above == expected.begin() ? wire::Name() : *std::prev(above));
      const auto from = expected.lower_bound(probe);
      ASSERT_EQ(shown(past.before(key(probe))),
                from == expected.begin() ? wire::Name() : *std::prev(from));
      ASSERT_EQ(past.contains(probe), expected.contains(probe));
    }
  }
}

}  // namespace
}  // namespace mutua::authority
