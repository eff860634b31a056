import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.util.Arrays;

import org.apache.kafka.common.utils.Exit;

/** Runs many of Kafka's tools in one JVM. A line on standard input: class and arguments, between them 0x1f; then what
 *  the tool printed on both streams, and a line of 0x1e and its exit code. */
public class Tools {
    static class Ended extends Error {
        final int code;

        Ended(int code) {
            this.code = code;
        }
    }

    public static void main(String[] arguments) throws Exception {
        Exit.setExitProcedure((code, message) -> {
            throw new Ended(code);
        });
        Exit.setHaltProcedure((code, message) -> {
            throw new Ended(code);
        });
        PrintStream out = System.out;
        System.setErr(out);
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] words = line.split("\u001f", -1);
            int code = run(words[0], Arrays.copyOfRange(words, 1, words.length));
            out.printf("%n\u001e%d%n", code);
            out.flush();
        }
    }

    static int run(String tool, String[] arguments) throws Exception {
        try {
            Class.forName(tool).getMethod("main", String[].class).invoke(null, (Object) arguments);
            return 0;
        } catch (InvocationTargetException e) {
            if (e.getCause() instanceof Ended) {
                return ((Ended) e.getCause()).code;
            }
            e.getCause().printStackTrace();
            return 1;
        }
    }
}
