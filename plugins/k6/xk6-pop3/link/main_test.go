package link_test

import (
	"testing"

	"go.uber.org/goleak"
)

// Whatever a test leaves running fails it.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
