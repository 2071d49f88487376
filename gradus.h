// All of gradus. It includes no third-party header.
#pragma once

#include "core/autograd.h"
#include "core/dtype.h"
#include "core/error.h"
#include "core/memory.h"
#include "core/named.h"
#include "core/ops.h"
#include "core/parallel.h"
#include "core/random.h"
#include "core/shape.h"
#include "core/tensor.h"
#include "core/version.h"
