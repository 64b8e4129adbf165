// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

// Links the standard library's HTTP server, whose packages' initialisation is most of its start.
package main

import (
	"fmt"
	"net/http"
)

func main() {
	fmt.Println(len(http.DefaultClient.Timeout.String()))
}
