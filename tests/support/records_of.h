#pragma once

#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "wire/message.h"
#include "wire/presentation.h"

namespace mutua {

// The records of a text with one a line.
inline std::vector<wire::Record> records_of(const std::string& text) {
  std::vector<wire::Record> records;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    auto record = wire::record_from_text(line, 60, wire::Name());
    EXPECT_TRUE(record.ok()) << line;
    if (record.ok()) records.push_back(std::move(*record));
  }
  return records;
}

}  // namespace mutua
